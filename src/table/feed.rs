//! The table's change feed, within the table: what happened in a shard and was not yet taken out, for each subscriber by itself, and
//! who the subscribers are. It does no I/O and knows nobody who subscribes.
//!
//! A subscriber ([`Subscription`](super::Subscription)) goes round and round:
//!
//! 1. It begins a [`Round`], and takes out what each shard has for it, in order.
//! 2. It writes or sends that, and completes the round: what was recorded before the round began has arrived.
//! 3. Where a shard has [`Lost`] something, since it came too fast, it reads the whole table again
//!    ([`Table::export`](super::Table::export)). Another subscriber need not have lost anything.
//!
//! Queues are bounded: a request never waits for room in one. What a response says may wait for a round
//! ([`Delivery::Awaited`], [`Confirmation`](super::Confirmation)). A server's number goes to another server only after every
//! subscriber has completed a round that began when nothing needed the number any more.

use std::hint::black_box;
use std::task::Waker;
use std::time::Duration;

use smallvec::SmallVec;

use super::entry::{Change, ChangeKind, Entry};

/// When a subscriber is to have a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// After the response that says what the change has made.
    Afterwards,
    /// Before it, unless that takes longer.
    Awaited { at_most: Duration },
}

/// What a subscriber could not be given, because it came too fast.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "where changes were lost, the whole table is to be read again"]
pub struct Lost {
    /// New stamps only: some sessions' idle time would begin earlier.
    pub refreshed: u64,
    /// Sessions created, moved or forgotten.
    pub others: u64,
}

/// A subscriber's way through all shards. What was recorded before it began is in it, or was in an earlier one.
#[derive(Debug)]
#[must_use = "a round that is not completed confirms nothing"]
pub struct Round {
    number: u64,
    epoch: u64,
}

/// Names a subscriber within its table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SubscriberId(u32);

/// A shard's changes, for each subscriber those that it has not taken out. Most tables have no subscriber or one.
#[derive(Debug)]
pub(crate) struct Queues {
    queues: SmallVec<[Queue; 1]>,
    bound: usize,
}

#[derive(Debug)]
struct Queue {
    of: SubscriberId,
    changes: Vec<Change>,
    lost: Lost,
}

/// The most changes that a subscriber's queue in a shard of about so many `sessions` keeps: for a sixteenth of them, so two bytes
/// for each session.
pub(crate) fn bound(sessions: usize) -> usize {
    (sessions / 16).max(64)
}

impl Queues {
    /// For a part of a table that holds about `sessions`.
    pub(crate) fn new(sessions: usize) -> Self {
        Self { queues: SmallVec::new(), bound: bound(sessions) }
    }

    /// The shard holds another number of sessions from now on.
    pub(crate) fn rebound(&mut self, sessions: usize) {
        self.bound = bound(sessions);
    }

    pub(crate) fn add(&mut self, subscriber: SubscriberId) {
        self.queues.push(Queue { of: subscriber, changes: Vec::new(), lost: Lost::default() });
    }

    pub(crate) fn remove(&mut self, subscriber: SubscriberId) {
        self.queues.retain(|queue| queue.of != subscriber);
        self.queues.shrink_to_fit();
    }

    /// Asks for the memory that is written to next, long before it is: every part of a table has its own.
    #[inline]
    pub(crate) fn fetch(&self) {
        for queue in &self.queues {
            black_box(queue.changes.last().map(|change| change.kind));
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, kind: ChangeKind, entry: Entry) {
        for queue in &mut self.queues {
            queue.record(self.bound, kind, entry);
        }
    }

    pub(crate) fn drain(&mut self, subscriber: SubscriberId, into: &mut Vec<Change>) -> Lost {
        let queue = self.queues.iter_mut().find(|queue| queue.of == subscriber);
        queue.map_or_else(Lost::default, |queue| queue.drain(into))
    }
}

impl Queue {
    fn record(&mut self, bound: usize, kind: ChangeKind, entry: Entry) {
        // The last quarter is for what weighs more than an idle time that begins too early.
        let (room, lost) = match kind {
            ChangeKind::Refreshed => (bound / 4 * 3, &mut self.lost.refreshed),
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Forgotten => (bound, &mut self.lost.others),
        };
        if self.changes.len() < room {
            self.changes.push(Change { kind, entry });
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

/// Who follows a table, and how far each is.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    all: Vec<Subscriber>,
    next: u32,
    /// Counts how often it was looked for numbers of servers that nobody needs.
    epoch: u64,
}

#[derive(Debug)]
struct Subscriber {
    id: SubscriberId,
    delivery: Delivery,
    /// Rounds.
    begun: u64,
    completed: u64,
    /// The latest epoch in which a round began that is completed.
    written: Option<u64>,
    waiting: Vec<Waker>,
}

/// A round of a subscriber that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    id: SubscriberId,
    round: u64,
}

impl Subscribers {
    pub(crate) fn add(&mut self, delivery: Delivery) -> SubscriberId {
        let id = SubscriberId(self.next);
        self.next += 1;
        self.all.push(Subscriber { id, delivery, begun: 0, completed: 0, written: None, waiting: Vec::new() });
        id
    }

    /// Takes one out, and gives who has waited for it.
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

    /// Notes that a round is complete, and gives who has waited for one.
    pub(crate) fn complete(&mut self, id: SubscriberId, round: &Round) -> Vec<Waker> {
        let Some(subscriber) = self.find(id) else { return Vec::new() };
        subscriber.completed = round.number;
        subscriber.written = Some(round.epoch);
        std::mem::take(&mut subscriber.waiting)
    }

    /// How many of them answers wait for.
    pub(crate) fn awaited(&self) -> usize {
        self.all.iter().filter(|subscriber| subscriber.at_most().is_some()).count()
    }

    /// The rounds that a change is in at the latest which has been recorded by now, and how long they are waited for.
    pub(crate) fn rounds(&self) -> (SmallVec<[Awaited; 1]>, Duration) {
        let awaited = self.all.iter().filter(|subscriber| subscriber.at_most().is_some());
        let rounds = awaited.map(|subscriber| Awaited { id: subscriber.id, round: subscriber.begun + 1 }).collect();
        (rounds, self.all.iter().filter_map(Subscriber::at_most).max().unwrap_or_default())
    }

    /// Whether these rounds are complete, or nobody makes them any more. If not, `waker` is called when one is.
    pub(crate) fn are_complete(&mut self, rounds: &[Awaited], waker: &Waker) -> bool {
        for awaited in rounds {
            let open = self.find(awaited.id).filter(|subscriber| subscriber.completed < awaited.round);
            if let Some(subscriber) = open {
                subscriber.waiting.push(waker.clone());
                return false;
            }
        }
        true
    }

    /// Whether every one of them has what was recorded before numbers were last looked for; then they may be again.
    pub(crate) fn begin_tidying(&mut self) -> bool {
        let all_have_it = self.all.iter().all(|subscriber| subscriber.written == Some(self.epoch));
        if all_have_it {
            self.epoch += 1;
        }
        all_have_it
    }

    fn find(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.all.iter_mut().find(|subscriber| subscriber.id == id)
    }
}

impl Subscriber {
    fn at_most(&self) -> Option<Duration> {
        match self.delivery {
            Delivery::Afterwards => None,
            Delivery::Awaited { at_most } => Some(at_most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fingerprint::Fingerprint;
    use crate::session::stamps::Stamps;
    use crate::table::entry::{Class, ServerIndex, Session};
    use crate::time::UnixSeconds;

    const ONE: SubscriberId = SubscriberId(1);
    const OTHER: SubscriberId = SubscriberId(2);

    fn entry(n: u128) -> Entry {
        let stamps = Stamps { issued: UnixSeconds(1), seen: UnixSeconds(2) };
        let session = Session { server: ServerIndex(0), stamps, class: Class::New };
        Entry { fingerprint: Fingerprint::from_bits(n), session }
    }

    fn followed_by(subscribers: &[SubscriberId]) -> Queues {
        let mut queues = Queues::new(0);
        subscribers.iter().for_each(|subscriber| queues.add(*subscriber));
        queues
    }

    fn kinds(queues: &mut Queues, of: SubscriberId) -> Vec<ChangeKind> {
        let mut out = Vec::new();
        assert_eq!(queues.drain(of, &mut out), Lost::default());
        out.iter().map(|change| change.kind).collect()
    }

    #[test]
    fn changes_come_out_in_their_order_and_once() {
        let mut queues = followed_by(&[ONE]);
        queues.record(ChangeKind::Created, entry(1));
        queues.record(ChangeKind::Forgotten, entry(1));
        let mut out = Vec::new();
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
        queues.record(ChangeKind::Moved, entry(2));
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
        let kinds: Vec<_> = out.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Forgotten, ChangeKind::Moved]);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_stamps_give_way_first() {
        let mut queues = followed_by(&[ONE]);
        for n in 0..60 {
            queues.record(ChangeKind::Refreshed, entry(n));
        }
        for n in 0..20 {
            queues.record(ChangeKind::Created, entry(n));
        }
        let mut out = Vec::new();
        assert_eq!(queues.drain(ONE, &mut out), Lost { refreshed: 12, others: 4 });
        assert_eq!(out.len(), 64);
        assert_eq!(queues.drain(ONE, &mut out), Lost::default());
    }

    #[test]
    fn nothing_is_kept_where_nobody_follows() {
        let mut queues = followed_by(&[]);
        queues.record(ChangeKind::Created, entry(1));
        queues.add(ONE);
        assert_eq!(kinds(&mut queues, ONE), []);
    }

    #[test]
    fn each_subscriber_has_all_since_it_came_and_loses_by_itself() {
        let mut queues = followed_by(&[ONE]);
        queues.record(ChangeKind::Created, entry(1));
        queues.add(OTHER);
        queues.record(ChangeKind::Moved, entry(1));
        assert_eq!(kinds(&mut queues, OTHER), [ChangeKind::Moved]);
        assert_eq!(kinds(&mut queues, ONE), [ChangeKind::Created, ChangeKind::Moved]);
        for n in 0..100 {
            queues.record(ChangeKind::Created, entry(n));
            if n % 50 == 0 {
                _ = kinds(&mut queues, ONE);
            }
        }
        assert_eq!(kinds(&mut queues, ONE).len(), 49);
        assert_eq!(queues.drain(OTHER, &mut Vec::new()), Lost { refreshed: 0, others: 36 });
        queues.remove(OTHER);
        queues.record(ChangeKind::Forgotten, entry(1));
        assert_eq!((kinds(&mut queues, ONE), kinds(&mut queues, OTHER)), (vec![ChangeKind::Forgotten], vec![]));
    }

    #[test]
    fn a_round_that_began_before_numbers_were_looked_for_does_not_free_them() {
        let mut subscribers = Subscribers::default();
        let (one, other) = (subscribers.add(Delivery::Afterwards), subscribers.add(Delivery::Afterwards));
        let complete = |subscribers: &mut Subscribers, id| {
            let round = subscribers.begin(id);
            _ = subscribers.complete(id, &round);
        };
        complete(&mut subscribers, one);
        assert!(!subscribers.begin_tidying(), "the other has completed none");
        complete(&mut subscribers, other);
        let early = subscribers.begin(other);
        assert!(subscribers.begin_tidying());
        complete(&mut subscribers, one);
        _ = subscribers.complete(other, &early);
        assert!(!subscribers.begin_tidying());
        _ = subscribers.remove(other);
        assert!(subscribers.begin_tidying(), "who has gone is not waited for");
    }
}
