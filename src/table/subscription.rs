//! Following a table, and waiting for those who do. What that means in detail is the feed's to say.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;

use super::Table;
use super::entry::Change;
use super::feed::{Awaited, Delivery, Lost, Round, SubscriberId};

/// A place in a table's feed, given up when dropped. Changes are in it from when it was made: who needs what was so before reads
/// the whole table afterwards.
#[derive(Debug)]
pub struct Subscription {
    table: Arc<Table>,
    id: SubscriberId,
}

/// Ready when all subscribers that answers wait for have what was changed before this was made.
#[derive(Debug)]
#[must_use = "nothing is waited for before it is polled"]
pub struct Confirmation {
    table: Arc<Table>,
    rounds: SmallVec<[Awaited; 1]>,
    at_most: Duration,
}

impl Subscription {
    pub fn new(table: &Arc<Table>, delivery: Delivery) -> Self {
        Self { table: Arc::clone(table), id: table.subscribe(delivery) }
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub fn set_delivery(&self, delivery: Delivery) {
        self.table.set_delivery(self.id, delivery);
    }

    /// Begins a round: to be followed by [`Self::drain`] of every shard, and then by [`Self::complete`].
    pub fn begin(&self) -> Round {
        self.table.subscribers().begin(self.id)
    }

    /// Takes out what has happened in a shard since the last time, in order, and appends it to `into`. All changes of one session
    /// come from one shard. Evictions are not recorded: whoever loads more than there is room for meets them again.
    ///
    /// Give an empty vector if you can: it is exchanged with the full one, and the lock is held for a moment only.
    pub fn drain(&self, shard: usize, into: &mut Vec<Change>) -> Lost {
        self.table.drain(shard, self.id, into)
    }

    /// What this round has taken out has arrived where it is to go, and so has what earlier rounds have.
    pub fn complete(&self, round: Round) {
        let waiting = self.table.subscribers().complete(self.id, &round);
        waiting.into_iter().for_each(std::task::Waker::wake);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.table.unsubscribe(self.id);
    }
}

impl Confirmation {
    /// None where no answer waits: then it costs a look at one counter.
    #[inline]
    pub fn of(table: &Arc<Table>) -> Option<Self> {
        table.is_awaited().then(|| {
            let (rounds, at_most) = table.subscribers().rounds();
            Self { table: Arc::clone(table), rounds, at_most }
        })
    }

    /// How long it is waited for.
    pub fn at_most(&self) -> Duration {
        self.at_most
    }
}

impl Future for Confirmation {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let complete = self.table.subscribers().are_complete(&self.rounds, context.waker());
        if complete { Poll::Ready(()) } else { Poll::Pending }
    }
}
