//! Subscribing to a table's changes, and waiting for subscribers. `feed` describes the protocol.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;

use super::Table;
use super::entry::Change;
use super::feed::{Awaited, Delivery, Lost, Round, SubscriberId};

/// A subscription to a table's feed, which ends when dropped. It receives the changes from its creation on; for the state before,
/// read the whole table afterwards.
#[derive(Debug)]
pub struct Subscription {
    table: Arc<Table>,
    id: SubscriberId,
}

/// A future that is ready when all subscribers that responses wait for have received every change made before it was created.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
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

    /// Begins a round. Then call [`Self::drain`] for every shard, and [`Self::complete`].
    pub fn begin(&self) -> Round {
        self.table.subscribers().begin(self.id)
    }

    /// Moves a shard's changes since the last call to `into`, in order. All changes of one session come from one shard. Evictions
    /// are not recorded: loading more sessions than there is room for evicts again.
    ///
    /// Pass an empty vector if possible: it is swapped with the full one, so the lock is held only briefly.
    pub fn drain(&self, shard: usize, into: &mut Vec<Change>) -> Lost {
        self.table.drain(shard, self.id, into)
    }

    /// Confirms that the changes of this round and of all earlier rounds have arrived.
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
    /// None if no response waits for a subscriber; this costs one atomic load.
    #[inline]
    pub fn of(table: &Arc<Table>) -> Option<Self> {
        table.is_awaited().then(|| {
            let (rounds, at_most) = table.subscribers().rounds();
            Self { table: Arc::clone(table), rounds, at_most }
        })
    }

    /// How long to wait.
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
