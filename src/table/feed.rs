//! The table's change feed: per shard and subscriber, a queue of the changes not yet taken out, and the list of subscribers. It
//! does no I/O and does not know what its subscribers do.
//!
//! A subscriber ([`Subscription`](super::Subscription)) works in rounds:
//!
//! 1. It begins a [`Round`] and drains its queue of each shard, in order.
//! 2. It writes or sends the changes and completes the round: all changes recorded before the round began have arrived.
//! 3. If a queue has overflowed ([`Lost`]), the subscriber reads the whole table again ([`Table::export`](super::Table::export)).
//!    Other subscribers are not affected.
//!
//! Of a peer ([`Role::Peer`]), changes are also received, and passed on to all other subscribers.
//!
//! Queues are bounded: a request never waits for room in one. A response may wait for a round
//! ([`Delivery::Awaited`], [`Confirmation`](super::Confirmation)). A server's number is reused only after every
//! subscriber has completed a round that began when the number was no longer needed.

use std::hint::black_box;
use std::task::Waker;
use std::time::Duration;

use smallvec::SmallVec;

use super::decisions::{Decisions, Rank};
use super::entry::{Change, ChangeKind};
use crate::session::fingerprint::Fingerprint;
use crate::time::UnixMillis;

/// When a subscriber receives a change, relative to the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// After the response.
    Afterwards,
    /// Before the response, which waits at most this long.
    Awaited { at_most: Duration },
}

/// Whether responses still wait for a subscriber that was late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    Left,
    /// It was late too often in a row: none waits until it keeps up again.
    Lost,
}

/// Whether a subscriber is another process that decides about the same sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It only receives changes.
    Follower,
    /// It also sends its own ([`Subscription::apply`](super::Subscription::apply)), which it does not get back. While there is a
    /// peer, the table remembers when its sessions were decided.
    Peer,
}

/// Changes that were dropped because a subscriber's queue was full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "if changes were lost, read the whole table again"]
pub struct Lost {
    /// Only new stamps: the idle time of some sessions would begin earlier.
    pub refreshed: u64,
    /// Sessions created, moved or forgotten.
    pub others: u64,
}

/// One pass of a subscriber over all shards. Every change recorded before the round began is in this round or an earlier one.
#[derive(Debug)]
#[must_use = "a round that is not completed confirms nothing"]
pub struct Round {
    number: u64,
    epoch: u64,
}

/// After this many responses in a row have run out of time, none waits for the subscriber until it keeps up again.
const MAX_LATE: u32 = 5;

/// The most decisions that a shard remembers for certain: 65,536 in a table.
const MAX_DECISIONS: usize = 256;

/// Names a subscriber within its table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SubscriberId(u32);

/// A shard's change queues, one per subscriber. Most tables have at most one subscriber.
#[derive(Debug)]
pub(crate) struct Queues {
    queues: SmallVec<[Queue; 1]>,
    bound: usize,
    /// The order of the latest decisions, while there is a peer.
    decisions: Option<Box<Decisions>>,
}

#[derive(Debug)]
struct Queue {
    subscriber: SubscriberId,
    role: Role,
    /// None: the subscriber needs no more changes.
    bound: Option<usize>,
    changes: Vec<Change>,
    lost: Lost,
}

/// The capacity of a subscriber's queue in a shard of about `sessions` sessions: a sixteenth of them, or two bytes per session.
pub(crate) fn bound(sessions: usize) -> usize {
    (sessions / 16).max(64)
}

impl Queues {
    /// For a shard that holds about `sessions` sessions.
    pub(crate) fn new(sessions: usize) -> Self {
        Self { queues: SmallVec::new(), bound: bound(sessions), decisions: None }
    }

    /// Adjusts the capacity to a new number of sessions.
    pub(crate) fn rebound(&mut self, sessions: usize) {
        self.bound = bound(sessions);
        self.queues.iter_mut().filter(|queue| queue.bound.is_some()).for_each(|queue| queue.bound = Some(bound(sessions)));
    }

    pub(crate) fn add(&mut self, subscriber: SubscriberId, role: Role) {
        self.queues.push(Queue { subscriber, role, bound: Some(self.bound), changes: Vec::new(), lost: Lost::default() });
        if role == Role::Peer && self.decisions.is_none() {
            self.decisions = Some(Box::new(Decisions::new(self.bound.min(MAX_DECISIONS))));
        }
    }

    pub(crate) fn remove(&mut self, subscriber: SubscriberId) {
        self.queues.retain(|queue| queue.subscriber != subscriber);
        self.queues.shrink_to_fit();
        if !self.queues.iter().any(|queue| queue.role == Role::Peer) {
            self.decisions = None;
        }
    }

    /// The subscriber needs no more changes, but may still send some.
    pub(crate) fn mute(&mut self, subscriber: SubscriberId) {
        for queue in self.queues.iter_mut().filter(|queue| queue.subscriber == subscriber) {
            *queue = Queue { bound: None, changes: Vec::new(), lost: Lost::default(), ..*queue };
        }
    }

    /// The order of the latest decisions, while there is a peer.
    pub(crate) fn decisions(&mut self) -> Option<&mut Decisions> {
        self.decisions.as_deref_mut()
    }

    pub(crate) fn remembered(&self) -> Option<&Decisions> {
        self.decisions.as_deref()
    }

    /// When a decision of this process counts as made.
    pub(crate) fn decide(&mut self, name: Fingerprint, rank: Rank, now: UnixMillis) -> UnixMillis {
        self.decisions.as_mut().map_or(now, |decisions| decisions.decide(name, rank, now))
    }

    /// Prefetches the memory that the next change is written to: every shard has its own.
    #[inline]
    pub(crate) fn fetch(&self) {
        for queue in &self.queues {
            black_box(queue.changes.last().map(|change| change.kind));
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, change: Change) {
        for queue in &mut self.queues {
            queue.record(change);
        }
    }

    /// Records a change for all subscribers but the one that it came from.
    pub(crate) fn pass_on(&mut self, change: Change, from: SubscriberId) {
        for queue in self.queues.iter_mut().filter(|queue| queue.subscriber != from) {
            queue.record(change);
        }
    }

    pub(crate) fn drain(&mut self, subscriber: SubscriberId, into: &mut Vec<Change>) -> Lost {
        let queue = self.queues.iter_mut().find(|queue| queue.subscriber == subscriber);
        queue.map_or_else(Lost::default, |queue| queue.drain(into))
    }
}

impl Queue {
    fn record(&mut self, change: Change) {
        let Some(bound) = self.bound else { return };
        // The last quarter is reserved for changes that matter more than a stamp.
        let (room, lost) = match change.kind {
            ChangeKind::Refreshed => (bound / 4 * 3, &mut self.lost.refreshed),
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Forgotten | ChangeKind::Offered => {
                (bound, &mut self.lost.others)
            }
        };
        if self.changes.len() < room {
            self.changes.push(change);
        } else {
            *lost += 1;
        }
    }

    fn drain(&mut self, into: &mut Vec<Change>) -> Lost {
        if into.is_empty() {
            std::mem::swap(&mut self.changes, into);
        } else {
            into.append(&mut self.changes);
        }
        std::mem::take(&mut self.lost)
    }
}

/// The subscribers of a table and their progress.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    all: Vec<Subscriber>,
    next: u32,
    /// Counts the searches for unused server numbers.
    epoch: u64,
    /// How many responses have run out of time.
    late: u64,
}

#[derive(Debug)]
struct Subscriber {
    id: SubscriberId,
    delivery: Delivery,
    /// The number of rounds begun.
    begun: u64,
    /// The last round completed.
    completed: u64,
    /// The latest epoch in which a completed round began.
    written: Option<u64>,
    waiting: Vec<Waker>,
    /// How many responses in a row ran out of time waiting for it.
    late: u32,
    /// It needs no more changes.
    muted: bool,
    /// Called when a response begins to wait for it.
    hurry: Option<Waker>,
}

/// A round that a response waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    id: SubscriberId,
    round: u64,
}

impl Subscribers {
    pub(crate) fn add(&mut self, delivery: Delivery) -> SubscriberId {
        let id = SubscriberId(self.next);
        self.next += 1;
        self.all.push(Subscriber {
            id,
            delivery,
            begun: 0,
            completed: 0,
            written: None,
            waiting: Vec::new(),
            late: 0,
            muted: false,
            hurry: None,
        });
        id
    }

    /// Removes a subscriber and returns the wakers that waited for it.
    pub(crate) fn remove(&mut self, id: SubscriberId) -> Vec<Waker> {
        let at = self.all.iter().position(|subscriber| subscriber.id == id);
        at.map_or_else(Vec::new, |at| self.all.swap_remove(at).waiting)
    }

    pub(crate) fn set_delivery(&mut self, id: SubscriberId, delivery: Delivery) {
        if let Some(subscriber) = self.find(id) {
            subscriber.delivery = delivery;
        }
    }

    pub(crate) fn begin(&mut self, id: SubscriberId) -> Round {
        let epoch = self.epoch;
        let number = self.find(id).map_or(0, |subscriber| {
            subscriber.begun += 1;
            subscriber.begun
        });
        Round { number, epoch }
    }

    /// Marks a round as complete and returns the wakers that waited for one.
    pub(crate) fn complete(&mut self, id: SubscriberId, round: &Round) -> Vec<Waker> {
        let Some(subscriber) = self.find(id) else { return Vec::new() };
        subscriber.completed = round.number;
        subscriber.written = Some(round.epoch);
        std::mem::take(&mut subscriber.waiting)
    }

    /// Counts a response that ran out of time before these rounds were complete.
    pub(crate) fn count_late(&mut self, rounds: &[Awaited]) -> Patience {
        self.late += 1;
        let mut patience = Patience::Left;
        for awaited in rounds {
            if let Some(open) = self.find(awaited.id).filter(|subscriber| subscriber.completed < awaited.round) {
                open.late = open.late.saturating_add(1);
                if open.late == MAX_LATE {
                    patience = Patience::Lost;
                }
            }
        }
        patience
    }

    /// How many responses have run out of time.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Responses wait for it again, if they had given up.
    pub(crate) fn keeps_up(&mut self, id: SubscriberId) {
        if let Some(subscriber) = self.find(id) {
            subscriber.late = 0;
        }
    }

    /// The subscriber needs no more changes. Returns the wakers that waited for it.
    pub(crate) fn mute(&mut self, id: SubscriberId) -> Vec<Waker> {
        self.find(id).map_or_else(Vec::new, |subscriber| {
            subscriber.muted = true;
            std::mem::take(&mut subscriber.waiting)
        })
    }

    /// The number of subscribers that responses wait for.
    pub(crate) fn awaited(&self) -> usize {
        self.all.iter().filter(|subscriber| subscriber.at_most().is_some()).count()
    }

    /// The rounds by whose completion every change recorded so far has arrived at all subscribers but `except`, and how
    /// long to wait for them.
    pub(crate) fn rounds(&self, except: Option<SubscriberId>) -> (SmallVec<[Awaited; 1]>, Duration) {
        let others = self.all.iter().filter(|subscriber| Some(subscriber.id) != except);
        let awaited = others.filter(|subscriber| subscriber.at_most().is_some());
        let rounds = awaited.map(|subscriber| Awaited { id: subscriber.id, round: subscriber.begun + 1 }).collect();
        (rounds, self.all.iter().filter_map(Subscriber::at_most).max().unwrap_or_default())
    }

    /// The wakers of the subscribers that responses wait for.
    pub(crate) fn hurry(&self) -> SmallVec<[Waker; 1]> {
        let awaited = self.all.iter().filter(|subscriber| subscriber.at_most().is_some());
        awaited.filter_map(|subscriber| subscriber.hurry.clone()).collect()
    }

    pub(crate) fn set_hurry(&mut self, id: SubscriberId, waker: Waker) {
        if let Some(subscriber) = self.find(id) {
            subscriber.hurry = Some(waker);
        }
    }

    /// Whether these rounds are complete or their subscribers are gone. If not, `waker` is called when that may have changed.
    pub(crate) fn are_complete(&mut self, rounds: &[Awaited], waker: &Waker) -> bool {
        for awaited in rounds {
            let open = self.find(awaited.id).filter(|subscriber| subscriber.completed < awaited.round && !subscriber.muted);
            if let Some(subscriber) = open {
                subscriber.waiting.push(waker.clone());
                return false;
            }
        }
        true
    }

    /// Begins a search for unused server numbers if every subscriber has received all changes recorded before the last one.
    pub(crate) fn begin_tidying(&mut self) -> bool {
        let mut open = self.all.iter().filter(|subscriber| !subscriber.muted);
        let all_received = open.all(|subscriber| subscriber.written == Some(self.epoch));
        if all_received {
            self.epoch += 1;
        }
        all_received
    }

    fn find(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.all.iter_mut().find(|subscriber| subscriber.id == id)
    }
}

impl Subscriber {
    /// How long a response waits for it. None: not at all, or no longer, as it was late too often.
    fn at_most(&self) -> Option<Duration> {
        match self.delivery {
            Delivery::Awaited { at_most } if self.late < MAX_LATE && !self.muted => Some(at_most),
            Delivery::Awaited { .. } | Delivery::Afterwards => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::stamps::Stamps;
    use crate::table::entry::{Entry, EvictionClass, ServerIndex, Session};
    use crate::time::UnixSeconds;

    const ONE: SubscriberId = SubscriberId(1);
    const OTHER: SubscriberId = SubscriberId(2);

    fn change(kind: ChangeKind, n: u128) -> Change {
        let stamps = Stamps { issued: UnixSeconds(1), seen: UnixSeconds(2) };
        let session = Session { server: ServerIndex(0), stamps, class: EvictionClass::New };
        Change { kind, entry: Entry { fingerprint: Fingerprint::from_bits(n), session }, at: UnixMillis(2_000) }
    }

    fn queues_for(subscribers: &[SubscriberId]) -> Queues {
        let mut queues = Queues::new(0);
        subscribers.iter().for_each(|subscriber| queues.add(*subscriber, Role::Follower));
        queues
    }

    fn kinds(queues: &mut Queues, subscriber: SubscriberId) -> Vec<ChangeKind> {
        let mut out = Vec::new();
        assert_eq!(queues.drain(subscriber, &mut out), Lost::default());
        out.iter().map(|change| change.kind).collect()
    }

    #[test]
    fn changes_are_drained_once_and_in_order() {
        let mut queues = queues_for(&[ONE]);
        queues.record(change(ChangeKind::Created, 1));
        queues.record(change(ChangeKind::Forgotten, 1));
        let mut out = Vec::new();
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
        queues.record(change(ChangeKind::Moved, 2));
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
        let kinds: Vec<_> = out.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Forgotten, ChangeKind::Moved]);
    }

    #[test]
    fn an_overflow_is_counted_and_drops_stamps_first() {
        let mut queues = queues_for(&[ONE]);
        for n in 0..60 {
            queues.record(change(ChangeKind::Refreshed, n));
        }
        for n in 0..20 {
            queues.record(change(ChangeKind::Created, n));
        }
        let mut out = Vec::new();
        assert_eq!(queues.drain(ONE, &mut out), Lost { refreshed: 12, others: 4 });
        assert_eq!(out.len(), 64);
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
    }

    #[test]
    fn nothing_is_queued_without_subscribers() {
        let mut queues = queues_for(&[]);
        queues.record(change(ChangeKind::Created, 1));
        queues.add(ONE, Role::Follower);
        assert_eq!(kinds(&mut queues, ONE), []);
    }

    #[test]
    fn subscribers_have_separate_queues_and_losses() {
        let mut queues = queues_for(&[ONE]);
        queues.record(change(ChangeKind::Created, 1));
        queues.add(OTHER, Role::Follower);
        queues.record(change(ChangeKind::Moved, 1));
        assert_eq!(kinds(&mut queues, OTHER), [ChangeKind::Moved]);
        assert_eq!(kinds(&mut queues, ONE), [ChangeKind::Created, ChangeKind::Moved]);
        for n in 0..100 {
            queues.record(change(ChangeKind::Created, n));
            if n % 50 == 0 {
                _ = kinds(&mut queues, ONE);
            }
        }
        assert_eq!(kinds(&mut queues, ONE).len(), 49);
        assert_eq!(queues.drain(OTHER, &mut Vec::new()), Lost { refreshed: 0, others: 36 });
        queues.remove(OTHER);
        queues.record(change(ChangeKind::Forgotten, 1));
        assert_eq!((kinds(&mut queues, ONE), kinds(&mut queues, OTHER)), (vec![ChangeKind::Forgotten], vec![]));
    }

    #[test]
    fn a_round_begun_before_the_search_frees_no_numbers() {
        let mut subscribers = Subscribers::default();
        let (one, other) = (subscribers.add(Delivery::Afterwards), subscribers.add(Delivery::Afterwards));
        let complete = |subscribers: &mut Subscribers, id| {
            let round = subscribers.begin(id);
            _ = subscribers.complete(id, &round);
        };
        complete(&mut subscribers, one);
        assert!(!subscribers.begin_tidying(), "the other subscriber has completed no round");
        complete(&mut subscribers, other);
        let early = subscribers.begin(other);
        assert!(subscribers.begin_tidying());
        complete(&mut subscribers, one);
        _ = subscribers.complete(other, &early);
        assert!(!subscribers.begin_tidying());
        _ = subscribers.remove(other);
        assert!(subscribers.begin_tidying(), "a removed subscriber does not hold up tidying");
    }
}
