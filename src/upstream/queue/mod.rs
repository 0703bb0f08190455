//! Who waits for a place at a server that is full, and in which order they get one: those who are tied to it before those who
//! start, each first come first served. It knows no time: whoever holds a ticket says how long it waits, and leaves the queue
//! by dropping it.
//!
//! No place is lost and nobody sleeps beside a free one, because the two sides cannot miss each other. Who waits is counted
//! before it looks for a place once more; who gives a place back does so before it looks whether anybody waits. Both in
//! sequentially consistent order.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use crate::lock::{AtomicU32, Mutex, MutexGuard};

use super::failover::Cause;
use super::server::{Live, Slot};

/// Who goes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// Sessions that are tied to the server.
    Tied,
    /// Sessions that would start there.
    New,
}

/// The queue of a server.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// How many wait, and how many of them are tied. Written under the lock; without it one may look.
    waiting: AtomicU32,
    tied: AtomicU32,
    line: Mutex<Line>,
}

/// A place in a queue: a future of a place at the server, or of the cause for which the server takes nobody any more. Who drops
/// it has left the queue; the place that it was given meanwhile goes to the next.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    live: Arc<Live>,
    rank: Rank,
    arrival: u64,
    call: Arc<Call>,
}

/// Those who wait, by order of arrival.
#[derive(Debug, Default)]
struct Line {
    arrivals: u64,
    open: Open,
    tied: BTreeMap<u64, Waiting>,
    new: BTreeMap<u64, Waiting>,
}

/// Whether one may join it.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Yes,
    /// There is no such server any more.
    NoLonger,
}

#[derive(Debug)]
struct Waiting {
    /// So many may be in flight once it is let in.
    limit: u32,
    call: Arc<Call>,
}

/// What a ticket has been told.
#[derive(Debug)]
struct Call(Mutex<Told>);

#[derive(Debug)]
enum Told {
    Nothing(Option<Waker>),
    Outcome(Result<Slot, Cause>),
    /// It has taken note of the outcome.
    Over,
}

impl Queue {
    pub(crate) fn len(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Whether somebody waits whom a newcomer of this rank must not overtake.
    pub(crate) fn is_before(&self, rank: Rank) -> bool {
        match rank {
            Rank::Tied => self.tied.load(SeqCst) > 0,
            Rank::New => self.waiting.load(SeqCst) > 0,
        }
    }

    /// Joins the queue; a place that has become free meanwhile is taken at once. None where `most` wait already. Who comes
    /// when the server is gone, with a configuration of before, is told so.
    pub(crate) fn join(live: &Arc<Live>, rank: Rank, limit: u32, most: u32) -> Option<Ticket> {
        let call = Arc::new(Call(Mutex::new(Told::Nothing(None))));
        let mut line = live.queue.line.lock();
        if line.len() >= most {
            return None;
        }
        let arrival = line.arrivals;
        line.arrivals += 1;
        line.of(rank).insert(arrival, Waiting { limit, call: Arc::clone(&call) });
        let called = match line.open {
            Open::Yes => {
                live.queue.count(&line);
                live.queue.call_in(live, &mut line)
            }
            Open::NoLonger => line.send_away(rank, Cause::Unknown),
        };
        drop(line);
        wake(called);
        Some(Ticket { live: Arc::clone(live), rank, arrival, call })
    }

    /// A place may be free: lets those in for whom there is room.
    pub(crate) fn advance(live: &Arc<Live>) {
        let mut line = live.queue.line.lock();
        let called = live.queue.call_in(live, &mut line);
        drop(line);
        wake(called);
    }

    /// Tells all who wait what holds for their rank now: the limit, or why they wait in vain.
    pub(crate) fn renew(live: &Arc<Live>, now: impl Fn(Rank) -> Result<u32, Cause>) {
        let mut called = Called::new();
        let mut line = live.queue.line.lock();
        for rank in [Rank::Tied, Rank::New] {
            match now(rank) {
                Ok(limit) => line.of(rank).values_mut().for_each(|waiting| waiting.limit = limit),
                Err(cause) => called.extend(line.send_away(rank, cause)),
            }
        }
        called.append(&mut live.queue.call_in(live, &mut line));
        drop(line);
        wake(called);
    }

    /// The server takes nobody any more.
    pub(crate) fn close(&self, cause: Cause) {
        self.send_all_away(self.line.lock(), cause);
    }

    /// There is no such server any more, and it does not come back: one of its name would have a queue of its own.
    pub(crate) fn end(&self) {
        let mut line = self.line.lock();
        line.open = Open::NoLonger;
        self.send_all_away(line, Cause::Unknown);
    }

    fn send_all_away(&self, mut line: MutexGuard<'_, Line>, cause: Cause) {
        let mut called = line.send_away(Rank::Tied, cause);
        called.append(&mut line.send_away(Rank::New, cause));
        self.count(&line);
        drop(line);
        wake(called);
    }

    fn leave(live: &Arc<Live>, rank: Rank, arrival: u64) {
        let mut line = live.queue.line.lock();
        if line.of(rank).remove(&arrival).is_none() {
            return;
        }
        // Who stood behind it may have waited for nothing but its turn.
        let called = live.queue.call_in(live, &mut line);
        drop(line);
        wake(called);
    }

    /// Lets in from the front while there is room.
    fn call_in(&self, live: &Arc<Live>, line: &mut Line) -> Called {
        let mut called = Called::new();
        while let Some(first) = line.tied.first_entry().or_else(|| line.new.first_entry()) {
            let Some(slot) = live.take(first.get().limit) else { break };
            called.extend(first.remove().call.tell(Ok(slot)));
        }
        self.count(line);
        called
    }

    fn count(&self, line: &Line) {
        self.tied.store(line.tied.len() as u32, SeqCst);
        self.waiting.store(line.len(), SeqCst);
    }
}

impl Line {
    fn len(&self) -> u32 {
        (self.tied.len() + self.new.len()) as u32
    }

    fn of(&mut self, rank: Rank) -> &mut BTreeMap<u64, Waiting> {
        match rank {
            Rank::Tied => &mut self.tied,
            Rank::New => &mut self.new,
        }
    }

    fn send_away(&mut self, rank: Rank, cause: Cause) -> Called {
        std::mem::take(self.of(rank)).into_values().filter_map(|waiting| waiting.call.tell(Err(cause))).collect()
    }
}

/// Tasks to be woken, when no lock is held any more.
type Called = SmallVec<[Waker; 4]>;

fn wake(called: Called) {
    called.into_iter().for_each(Waker::wake);
}

impl Call {
    /// Its ticket holds it as well, for as long as it stands in the line, so no slot is dropped here.
    fn tell(&self, outcome: Result<Slot, Cause>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), Told::Outcome(outcome)) {
            Told::Nothing(waker) => waker,
            Told::Outcome(_) | Told::Over => None,
        }
    }
}

impl Future for Ticket {
    type Output = Result<Slot, Cause>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut told = self.call.0.lock();
        match std::mem::replace(&mut *told, Told::Over) {
            Told::Nothing(_) => {
                *told = Told::Nothing(Some(cx.waker().clone()));
                Poll::Pending
            }
            Told::Outcome(outcome) => Poll::Ready(outcome),
            Told::Over => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        Queue::leave(&self.live, self.rank, self.arrival);
    }
}

#[cfg(test)]
mod tests;
