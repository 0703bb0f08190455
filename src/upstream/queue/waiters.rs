//! The waiting requests, in the order in which they are admitted. It knows no server and takes no slot: the slot of a
//! waiter, a `P`, comes from the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use super::rank::Rank;
use crate::lock::Mutex;
use crate::upstream::failover::Cause;

/// The waiting requests, in order of arrival.
#[derive(Debug)]
pub(crate) struct Waiters<P> {
    arrivals: u64,
    open: Open,
    tied: BTreeMap<u64, Waiter<P>>,
    new: BTreeMap<u64, Waiter<P>>,
}

/// Whether requests may join.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Open {
    Yes,
    /// The server is gone.
    NoLonger,
}

#[derive(Debug)]
struct Waiter<P> {
    /// How many requests may be in flight, including this one, when it is admitted.
    limit: u32,
    call: Arc<Call<P>>,
}

/// The outcome of a waiter, shared with its ticket.
#[derive(Debug)]
pub(crate) struct Call<P>(Mutex<CallState<P>>);

#[derive(Debug)]
enum CallState<P> {
    Waiting(Option<Waker>),
    Ready(Result<P, Cause>),
    /// The ticket has taken the outcome.
    Taken,
}

/// Tasks to wake after the lock is released.
pub(crate) type Wakers = SmallVec<[Waker; 4]>;

pub(crate) fn wake(wakers: Wakers) {
    wakers.into_iter().for_each(Waker::wake);
}

impl<P> Waiters<P> {
    pub(crate) fn len(&self) -> u32 {
        (self.tied.len() + self.new.len()) as u32
    }

    pub(crate) fn tied(&self) -> u32 {
        self.tied.len() as u32
    }

    pub(crate) fn open(&self) -> Open {
        self.open
    }

    /// Closes the queue for good.
    pub(crate) fn end(&mut self) {
        self.open = Open::NoLonger;
    }

    /// Adds a waiter at the end of its rank and returns its number.
    pub(crate) fn join(&mut self, rank: Rank, limit: u32, call: Arc<Call<P>>) -> u64 {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.of(rank).insert(arrival, Waiter { limit, call });
        arrival
    }

    /// Removes a waiter that gives up. Whether it was still there.
    pub(crate) fn leave(&mut self, rank: Rank, arrival: u64) -> bool {
        self.of(rank).remove(&arrival).is_some()
    }

    /// Sets the limit for waiters of this rank.
    pub(crate) fn set_limit(&mut self, rank: Rank, limit: u32) {
        self.of(rank).values_mut().for_each(|waiter| waiter.limit = limit);
    }

    /// Admits from the front as long as `take` returns a slot within the limit.
    pub(crate) fn admit(&mut self, take: impl Fn(u32) -> Option<P>) -> Wakers {
        let mut wakers = Wakers::new();
        while let Some(first) = self.tied.first_entry().or_else(|| self.new.first_entry()) {
            let Some(place) = take(first.get().limit) else { break };
            wakers.extend(first.remove().call.resolve(Ok(place)));
        }
        wakers
    }

    pub(crate) fn reject(&mut self, rank: Rank, cause: Cause) -> Wakers {
        std::mem::take(self.of(rank)).into_values().filter_map(|waiter| waiter.call.resolve(Err(cause))).collect()
    }

    fn of(&mut self, rank: Rank) -> &mut BTreeMap<u64, Waiter<P>> {
        match rank {
            Rank::Tied => &mut self.tied,
            Rank::New => &mut self.new,
        }
    }
}

impl<P> Call<P> {
    /// The ticket of a waiter exists as long as the waiter does, so no slot is dropped here.
    fn resolve(&self, outcome: Result<P, Cause>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), CallState::Ready(outcome)) {
            CallState::Waiting(waker) => waker,
            CallState::Ready(_) | CallState::Taken => None,
        }
    }

    /// The outcome, once; the task is woken when there is one.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<P, Cause>> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, CallState::Taken) {
            CallState::Waiting(_) => {
                *state = CallState::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            CallState::Ready(outcome) => Poll::Ready(outcome),
            CallState::Taken => Poll::Pending,
        }
    }
}

impl<P> Default for Call<P> {
    fn default() -> Self {
        Self(Mutex::new(CallState::Waiting(None)))
    }
}

impl<P> Default for Waiters<P> {
    fn default() -> Self {
        Self { arrivals: 0, open: Open::Yes, tied: BTreeMap::new(), new: BTreeMap::new() }
    }
}
