//! Those who wait, in the order in which they are called. It knows no server and takes no place: what a waiter gets, a `P`, comes
//! from the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use super::rank::Rank;
use crate::lock::Mutex;
use crate::upstream::failover::Cause;

/// Those who wait, by order of arrival.
#[derive(Debug)]
pub(crate) struct Waiters<P> {
    arrivals: u64,
    open: Open,
    tied: BTreeMap<u64, Waiter<P>>,
    new: BTreeMap<u64, Waiter<P>>,
}

/// Whether one may join them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Open {
    Yes,
    /// There is no such server any more.
    NoLonger,
}

#[derive(Debug)]
struct Waiter<P> {
    /// So many may be in flight once it is let in.
    limit: u32,
    call: Arc<Call<P>>,
}

/// What a waiter has been told.
#[derive(Debug)]
pub(crate) struct Call<P>(Mutex<Told<P>>);

#[derive(Debug)]
enum Told<P> {
    Nothing(Option<Waker>),
    Outcome(Result<P, Cause>),
    /// It has taken note of the outcome.
    Over,
}

/// Tasks to be woken, when no lock is held any more.
pub(crate) type Called = SmallVec<[Waker; 4]>;

pub(crate) fn wake(called: Called) {
    called.into_iter().for_each(Waker::wake);
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

    /// Nobody may join any more.
    pub(crate) fn end(&mut self) {
        self.open = Open::NoLonger;
    }

    /// Puts one at the end of its rank; gives its number.
    pub(crate) fn join(&mut self, rank: Rank, limit: u32, call: Arc<Call<P>>) -> u64 {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.of(rank).insert(arrival, Waiter { limit, call });
        arrival
    }

    /// Takes one out that gives up, and says whether it was still there.
    pub(crate) fn leave(&mut self, rank: Rank, arrival: u64) -> bool {
        self.of(rank).remove(&arrival).is_some()
    }

    /// From now on so many may be in flight when one of this rank is let in.
    pub(crate) fn set_limit(&mut self, rank: Rank, limit: u32) {
        self.of(rank).values_mut().for_each(|waiter| waiter.limit = limit);
    }

    /// Lets in from the front, as long as `take` gives a place within the limit.
    pub(crate) fn call_in(&mut self, take: impl Fn(u32) -> Option<P>) -> Called {
        let mut called = Called::new();
        while let Some(first) = self.tied.first_entry().or_else(|| self.new.first_entry()) {
            let Some(place) = take(first.get().limit) else { break };
            called.extend(first.remove().call.tell(Ok(place)));
        }
        called
    }

    pub(crate) fn send_away(&mut self, rank: Rank, cause: Cause) -> Called {
        std::mem::take(self.of(rank)).into_values().filter_map(|waiter| waiter.call.tell(Err(cause))).collect()
    }

    fn of(&mut self, rank: Rank) -> &mut BTreeMap<u64, Waiter<P>> {
        match rank {
            Rank::Tied => &mut self.tied,
            Rank::New => &mut self.new,
        }
    }
}

impl<P> Call<P> {
    /// Its ticket holds it as well, for as long as it stands in the line, so no place is dropped here.
    fn tell(&self, outcome: Result<P, Cause>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), Told::Outcome(outcome)) {
            Told::Nothing(waker) => waker,
            Told::Outcome(_) | Told::Over => None,
        }
    }

    /// The outcome, once; the task is woken when there is one.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<P, Cause>> {
        let mut told = self.0.lock();
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

impl<P> Default for Call<P> {
    fn default() -> Self {
        Self(Mutex::new(Told::Nothing(None)))
    }
}

impl<P> Default for Waiters<P> {
    fn default() -> Self {
        Self { arrivals: 0, open: Open::Yes, tied: BTreeMap::new(), new: BTreeMap::new() }
    }
}
