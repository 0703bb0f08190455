//! Subscribing to a table's changes, and waiting for subscribers. `feed` describes the protocol.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;

use super::Table;
use super::entry::Change;
use super::feed::{Awaited, Delivery, Lost, Patience, Role, Round, SubscriberId};
use super::list::Cursor;
use crate::time::UnixSeconds;

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
        Self::with_role(table, Role::Follower, delivery)
    }

    /// Of a subscriber that may also send changes, according to its role.
    pub fn with_role(table: &Arc<Table>, role: Role, delivery: Delivery) -> Self {
        Self { table: Arc::clone(table), id: table.subscribe(role, delivery) }
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

    /// Applies a change that this peer has made or passed on. The later decision about a session wins; a sign of life neither creates
    /// nor moves one. The server's number must be one of this table, as for [`Table::import`].
    pub fn apply(&self, change: &Change, now: UnixSeconds) {
        self.table.apply(change, self.id, now);
    }

    /// Appends the next piece of the table as changes for a peer, as [`Table::export`] does: each session with its decision, if that
    /// is remembered, and the latest deletions.
    pub fn export(&self, cursor: Cursor, now: UnixSeconds, into: &mut Vec<Change>) -> Option<Cursor> {
        self.table.export_decisions(cursor, now, into)
    }

    /// `waker` is called whenever a response begins to wait for this subscriber.
    pub fn on_hurry(&self, waker: std::task::Waker) {
        self.table.subscribers().set_hurry(self.id, waker);
    }

    /// Its rounds arrive in time: responses wait for it again, if they had given up after it was late too often.
    pub fn keeps_up(&self) {
        self.table.keeps_up(self.id);
    }

    /// The subscriber needs no more changes, and no response waits for it any more. It may still send changes, if it is a peer.
    pub fn mute(&self) {
        self.table.mute(self.id);
    }

    /// As [`Confirmation::of`], for all other subscribers: what this peer has sent is known there when it is ready.
    pub fn confirmation_of_others(&self) -> Option<Confirmation> {
        Confirmation::except(&self.table, Some(self.id))
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
        Self::except(table, None)
    }

    #[inline]
    fn except(table: &Arc<Table>, except: Option<SubscriberId>) -> Option<Self> {
        table.is_awaited().then(|| {
            let (rounds, at_most) = table.subscribers().rounds(except);
            table.hurry();
            Self { table: Arc::clone(table), rounds, at_most }
        })
    }

    /// How long to wait.
    pub fn at_most(&self) -> Duration {
        self.at_most
    }

    /// The response has waited that long. Subscribers that were late too often in a row are not waited for any more, until they keep
    /// up again.
    pub fn run_out(self) -> Patience {
        self.table.count_late(&self.rounds)
    }

    /// Whether it is ready, without waiting.
    pub fn is_ready(&self) -> bool {
        self.table.subscribers().are_complete(&self.rounds, std::task::Waker::noop())
    }
}

impl Future for Confirmation {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let complete = self.table.subscribers().are_complete(&self.rounds, context.waker());
        if complete { Poll::Ready(()) } else { Poll::Pending }
    }
}
