//! The slots of a server, and the queue for them when it is full: tied sessions go before new ones, and within each
//! rank first come, first served. It knows no server and no time. Dropping a slot releases it; the holder of a ticket
//! decides how long to wait, and dropping the ticket leaves the queue.
//!
//! No slot is lost, and no request waits while a slot is free, because the two sides cannot miss each other: a waiting
//! request is counted before it tries once more to take a slot, and a slot is released before it checks for waiting
//! requests. Both are sequentially consistent.

pub mod rank;
mod waiters;

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll};

use crate::lock::{AtomicU32, AtomicU64, Mutex, MutexGuard};

use super::board::Board;
use super::failover::Cause;
use super::totals::{Counted, Share, Totals};
use rank::Rank;
use waiters::{Call, Open, Waiters, Wakers, wake};

/// The slots of a server and its queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// [`Counted`]: how many requests are in flight, and how the server counts in `totals`.
    in_flight: AtomicU64,
    totals: Arc<Totals>,
    /// How many requests wait, and how many of them are tied. Written under the lock, read without it.
    waiting: AtomicU32,
    tied: AtomicU32,
    waiters: Mutex<Waiters<Slot>>,
    /// The board gets a note when fewer than this are in flight or wait.
    note_below: AtomicU32,
    watch: Mutex<Option<Watch>>,
}

/// Where the server stands on the board of the configuration in use.
#[derive(Debug)]
struct Watch {
    board: Arc<Board>,
    at: usize,
}

/// A request's slot at a server: in flight until dropped.
#[derive(Debug)]
pub struct Slot(Arc<Queue>);

/// A place in a queue: a future of a slot, or of the cause for which the queue closed. Dropping it leaves the queue; a
/// slot that it was given in the meantime goes to the next.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    queue: Arc<Queue>,
    rank: Rank,
    arrival: u64,
    call: Arc<Call<Slot>>,
}

impl Queue {
    /// The queue of a server of the upstream with these sums.
    pub(crate) fn new(totals: &Arc<Totals>) -> Self {
        Self { totals: Arc::clone(totals), ..Self::default() }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.counted().in_flight()
    }

    /// Its number in flight, and how it counts.
    pub(crate) fn counted(&self) -> Counted {
        Counted::of(self.in_flight.load(Relaxed))
    }

    /// From now on, it counts like this in the sums of the upstream.
    pub(crate) fn counts_as(&self, share: Share) {
        if self.counted().share() == share {
            return;
        }
        let changed = self.in_flight.fetch_update(SeqCst, SeqCst, |word| Some(Counted::of(word).with(share)));
        if let Ok(before) = changed.map(Counted::of) {
            self.totals.change(before, Counted::of(before.with(share)));
        }
    }

    /// The number in flight has changed by one.
    fn recount(&self, before: Counted, after: Counted) {
        if after.share() != Share::NONE {
            self.totals.change(before, after);
        }
    }

    /// From now on, notes are left on this board, for the server at this position.
    pub(crate) fn watched_by(&self, board: &Arc<Board>, at: usize) {
        *self.watch.lock() = Some(Watch { board: Arc::clone(board), at });
    }

    /// Leaves a note, once, when fewer than this are in flight or wait. False if there are fewer already; then no note may come.
    pub(crate) fn note_below(&self, demand: u32) -> bool {
        self.note_below.store(demand, SeqCst);
        self.demand() >= demand
    }

    /// How many requests are in flight or wait.
    fn demand(&self) -> u32 {
        Counted::of(self.in_flight.load(SeqCst)).in_flight() + self.len()
    }

    /// So many requests are in flight or wait; before, it may have been more.
    fn fell_to(&self, demand: u32) {
        if demand < self.note_below.load(SeqCst) {
            // Before the note: who takes it may ask for another.
            self.note_below.store(0, SeqCst);
            self.leave_note();
        }
    }

    fn leave_note(&self) {
        if let Some(Watch { board, at }) = &*self.watch.lock() {
            board.note(*at);
        }
    }

    /// The health of the server changed.
    pub(crate) fn health_changed(&self) {
        if let Some(Watch { board, .. }) = &*self.watch.lock() {
            board.health_changed();
        }
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Whether a request of this rank would get a slot now.
    pub(crate) fn has_room(&self, rank: Rank, max_conns: Option<NonZeroU32>) -> bool {
        max_conns.is_none_or(|max| self.in_flight() < rank.limit(max) && !self.must_wait(rank))
    }

    /// Takes a slot, unless a waiting request must go first.
    pub(crate) fn take(self: &Arc<Self>, rank: Rank, max_conns: Option<NonZeroU32>) -> Option<Slot> {
        match max_conns {
            None => self.take_below(u32::MAX),
            Some(_) if self.must_wait(rank) => None,
            Some(max) => {
                let taken = self.occupy(rank.limit(max))?;
                if taken.in_flight() == Rank::New.limit(max) {
                    // It is full from now on.
                    self.leave_note();
                }
                Some(Slot(Arc::clone(self)))
            }
        }
    }

    /// Whether a waiting request must go before one of this rank.
    fn must_wait(&self, rank: Rank) -> bool {
        match rank {
            Rank::Tied => self.tied.load(SeqCst) > 0,
            Rank::New => self.waiting.load(SeqCst) > 0,
        }
    }

    /// Takes a slot if fewer than `limit` are taken.
    fn take_below(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        self.occupy(limit).map(|_| Slot(Arc::clone(self)))
    }

    /// The number in flight with the slot that was taken.
    fn occupy(&self, limit: u32) -> Option<Counted> {
        let room = |word: u64| (Counted::of(word).in_flight() < limit).then_some(word + 1);
        let before = self.in_flight.fetch_update(SeqCst, SeqCst, room).ok()?;
        let taken = Counted::of(before + 1);
        self.recount(Counted::of(before), taken);
        Some(taken)
    }

    /// Joins the queue, and takes a slot at once if one has become free. None if `max_length` requests wait already. If
    /// the server is gone, because the request still uses an older configuration, the ticket resolves to that cause.
    pub(crate) fn join(self: &Arc<Self>, rank: Rank, max_conns: NonZeroU32, max_length: u32) -> Option<Ticket> {
        let call = Arc::new(Call::default());
        let mut waiters = self.waiters.lock();
        if waiters.len() >= max_length {
            return None;
        }
        let arrival = waiters.join(rank, rank.limit(max_conns), Arc::clone(&call));
        if waiters.len() >= max_length {
            self.leave_note();
        }
        let woken = match waiters.open() {
            Open::Yes => {
                self.count(&waiters);
                self.admit(&mut waiters)
            }
            Open::NoLonger => waiters.reject(rank, Cause::Unknown),
        };
        drop(waiters);
        wake(woken);
        Some(Ticket { queue: Arc::clone(self), rank, arrival, call })
    }

    /// Applies a new configuration to all waiting requests. `now` returns for each rank the server's limit (None: no
    /// limit), or why its requests must go elsewhere.
    pub(crate) fn reconfigure(self: &Arc<Self>, now: impl Fn(Rank) -> Result<Option<NonZeroU32>, Cause>) {
        let mut woken = Wakers::new();
        let mut waiters = self.waiters.lock();
        for rank in [Rank::Tied, Rank::New] {
            match now(rank) {
                Ok(max_conns) => waiters.set_limit(rank, max_conns.map_or(u32::MAX, |max| rank.limit(max))),
                Err(cause) => woken.extend(waiters.reject(rank, cause)),
            }
        }
        woken.append(&mut self.admit(&mut waiters));
        drop(waiters);
        wake(woken);
    }

    /// Rejects all waiting requests for this cause.
    pub(crate) fn close(&self, cause: Cause) {
        self.reject_all(self.waiters.lock(), cause);
    }

    /// Ends the queue of a server that is gone for good: a new server with this id gets a new queue.
    pub(crate) fn end(&self) {
        let mut waiters = self.waiters.lock();
        waiters.end();
        self.reject_all(waiters, Cause::Unknown);
    }

    fn reject_all(&self, mut waiters: MutexGuard<'_, Waiters<Slot>>, cause: Cause) {
        let mut woken = waiters.reject(Rank::Tied, cause);
        woken.append(&mut waiters.reject(Rank::New, cause));
        self.count(&waiters);
        drop(waiters);
        wake(woken);
    }

    /// A slot may be free: admits waiting requests while there is room.
    fn advance(self: &Arc<Self>) {
        let mut waiters = self.waiters.lock();
        let woken = self.admit(&mut waiters);
        drop(waiters);
        wake(woken);
    }

    fn leave(self: &Arc<Self>, rank: Rank, arrival: u64) {
        let mut waiters = self.waiters.lock();
        if !waiters.leave(rank, arrival) {
            return;
        }
        // The next one may have waited only for its turn.
        let woken = self.admit(&mut waiters);
        drop(waiters);
        wake(woken);
    }

    /// Admits from the front while there is room.
    fn admit(self: &Arc<Self>, waiters: &mut Waiters<Slot>) -> Wakers {
        let woken = waiters.admit(|limit| self.take_below(limit));
        self.count(waiters);
        woken
    }

    fn count(&self, waiters: &Waiters<Slot>) {
        self.tied.store(waiters.tied(), SeqCst);
        self.waiting.store(waiters.len(), SeqCst);
        self.fell_to(self.demand());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, SeqCst);
        let left = Counted::of(before - 1);
        self.0.recount(Counted::of(before), left);
        let waiting = self.0.len();
        self.0.fell_to(left.in_flight() + waiting);
        if waiting > 0 {
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
