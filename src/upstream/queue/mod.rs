//! The places of a server, and who waits for one when it is full: those who are tied to it before those who start, each first
//! come first served. It knows no server and no time: a place gives itself back when it is dropped, and whoever holds a ticket
//! says how long it waits, and leaves the queue by dropping it.
//!
//! No place is lost and nobody sleeps beside a free one, because the two sides cannot miss each other. Who waits is counted
//! before it looks for a place once more; who gives a place back does so before it looks whether anybody waits. Both in
//! sequentially consistent order.

pub mod rank;
mod waiters;

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll};

use crate::lock::{AtomicU32, Mutex, MutexGuard};

use super::failover::Cause;
use rank::Rank;
use waiters::{Call, Called, Open, Waiters, wake};

/// The places of a server and its queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    in_flight: AtomicU32,
    /// How many wait, and how many of them are tied. Written under the lock; without it one may look.
    waiting: AtomicU32,
    tied: AtomicU32,
    waiters: Mutex<Waiters<Slot>>,
}

/// A request's place at a server: counted in flight until dropped.
#[derive(Debug)]
pub struct Slot(Arc<Queue>);

/// A place in a queue: a future of a place at the server, or of the cause for which the server takes nobody any more. Who drops
/// it has left the queue; the place that it was given meanwhile goes to the next.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    queue: Arc<Queue>,
    rank: Rank,
    arrival: u64,
    call: Arc<Call<Slot>>,
}

impl Queue {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Whether a newcomer of this rank would get a place now.
    pub(crate) fn has_room(&self, rank: Rank, max_conns: Option<NonZeroU32>) -> bool {
        max_conns.is_none_or(|max| self.in_flight() < rank.limit(max) && !self.is_before(rank))
    }

    /// Takes a place, unless others wait for one whom a newcomer of this rank must not overtake.
    pub(crate) fn take(self: &Arc<Self>, rank: Rank, max_conns: Option<NonZeroU32>) -> Option<Slot> {
        match max_conns {
            None => self.take_below(u32::MAX),
            Some(_) if self.is_before(rank) => None,
            Some(max) => self.take_below(rank.limit(max)),
        }
    }

    /// Whether somebody waits whom a newcomer of this rank must not overtake.
    fn is_before(&self, rank: Rank) -> bool {
        match rank {
            Rank::Tied => self.tied.load(SeqCst) > 0,
            Rank::New => self.waiting.load(SeqCst) > 0,
        }
    }

    /// Takes a place while fewer than `limit` are taken.
    fn take_below(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        let room = |in_flight: u32| (in_flight < limit).then_some(in_flight + 1);
        self.in_flight.fetch_update(SeqCst, SeqCst, room).ok().map(|_| Slot(Arc::clone(self)))
    }

    /// Joins the queue; a place that has become free meanwhile is taken at once. None where `most` wait already. Who comes
    /// when the server is gone, with a configuration of before, is told so.
    pub(crate) fn join(self: &Arc<Self>, rank: Rank, max_conns: NonZeroU32, most: u32) -> Option<Ticket> {
        let call = Arc::new(Call::default());
        let mut waiters = self.waiters.lock();
        if waiters.len() >= most {
            return None;
        }
        let arrival = waiters.join(rank, rank.limit(max_conns), Arc::clone(&call));
        let called = match waiters.open() {
            Open::Yes => {
                self.count(&waiters);
                self.call_in(&mut waiters)
            }
            Open::NoLonger => waiters.send_away(rank, Cause::Unknown),
        };
        drop(waiters);
        wake(called);
        Some(Ticket { queue: Arc::clone(self), rank, arrival, call })
    }

    /// Tells all who wait what holds for their rank now: how many the server may have in flight (None: as many as come), or why
    /// they wait in vain.
    pub(crate) fn renew(self: &Arc<Self>, now: impl Fn(Rank) -> Result<Option<NonZeroU32>, Cause>) {
        let mut called = Called::new();
        let mut waiters = self.waiters.lock();
        for rank in [Rank::Tied, Rank::New] {
            match now(rank) {
                Ok(max_conns) => waiters.set_limit(rank, max_conns.map_or(u32::MAX, |max| rank.limit(max))),
                Err(cause) => called.extend(waiters.send_away(rank, cause)),
            }
        }
        called.append(&mut self.call_in(&mut waiters));
        drop(waiters);
        wake(called);
    }

    /// The server takes nobody any more.
    pub(crate) fn close(&self, cause: Cause) {
        self.send_all_away(self.waiters.lock(), cause);
    }

    /// There is no such server any more, and it does not come back: one of its name would have a queue of its own.
    pub(crate) fn end(&self) {
        let mut waiters = self.waiters.lock();
        waiters.end();
        self.send_all_away(waiters, Cause::Unknown);
    }

    fn send_all_away(&self, mut waiters: MutexGuard<'_, Waiters<Slot>>, cause: Cause) {
        let mut called = waiters.send_away(Rank::Tied, cause);
        called.append(&mut waiters.send_away(Rank::New, cause));
        self.count(&waiters);
        drop(waiters);
        wake(called);
    }

    /// A place may be free: lets those in for whom there is room.
    fn advance(self: &Arc<Self>) {
        let mut waiters = self.waiters.lock();
        let called = self.call_in(&mut waiters);
        drop(waiters);
        wake(called);
    }

    fn leave(self: &Arc<Self>, rank: Rank, arrival: u64) {
        let mut waiters = self.waiters.lock();
        if !waiters.leave(rank, arrival) {
            return;
        }
        // Who stood behind it may have waited for nothing but its turn.
        let called = self.call_in(&mut waiters);
        drop(waiters);
        wake(called);
    }

    /// Lets in from the front while there is room.
    fn call_in(self: &Arc<Self>, waiters: &mut Waiters<Slot>) -> Called {
        let called = waiters.call_in(|limit| self.take_below(limit));
        self.count(waiters);
        called
    }

    fn count(&self, waiters: &Waiters<Slot>) {
        self.tied.store(waiters.tied(), SeqCst);
        self.waiting.store(waiters.len(), SeqCst);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
        if self.0.len() > 0 {
            self.0.advance();
        }
    }
}

impl Future for Ticket {
    type Output = Result<Slot, Cause>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.call.poll(cx)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.leave(self.rank, self.arrival);
    }
}

#[cfg(test)]
mod tests;
