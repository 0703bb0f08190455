//! The session table maps session names that the application makes to servers.
//!
//! It holds [`TableSpec::capacity`] sessions at 43 bytes each, and when it is full it evicts those that matter least:
//! expired ones, those over their network's [`CreationBudget`], those never seen again, and only then established ones, each
//! time the least recently seen first. Nothing runs in the background: expired sessions are overwritten.
//!
//! # Structure
//!
//! 256 shards, chosen by the fingerprint's first byte, each behind its own lock. Every access takes the lock and,
//! except for a reload, holds it no longer than it takes to read 64 KiB. In its shard a name has one page of memory, and in the
//! page two buckets of seven slots, all chosen by the fingerprint. It is stored in the first bucket that has room; if both are
//! full, a neighbor moves to its other bucket. So fewer than one session in 10,000 is evicted while at most `capacity` are live.
//! Lock order: shard, then counts; and subscribers, then state, then servers. A thread that holds a lock of one group never takes
//! a lock of the other.
//!
//! It does no I/O: code that stores or copies it follows its changes ([`Subscription`]) and reads it in pieces ([`Table::export`]).
//! It does not know which servers are up or what the names were.

mod bucket;
mod budget;
mod counts;
mod decisions;
mod entry;
mod exchange;
mod feed;
pub mod format;
mod list;
mod moment;
mod page;
mod servers;
mod shard;
mod size;
mod spec;
mod stats;
mod subscription;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32 as StdAtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::ids::ServerId;
use crate::lock::{AtomicU32, Mutex, MutexGuard, RwLock};
use crate::session::fingerprint::{Fingerprint, Prefix};
use crate::time::{Skipped, UnixMillis, UnixSeconds};
use counts::{Counts, Period};
use decisions::Rank;
use servers::Servers;
use shard::{PIECE, Shard};
use size::{SHARDS, Size};

pub use crate::table::stats::Stats;
pub use budget::{BudgetSpec, CreationBudget};
pub use entry::{Budget, Change, ChangeKind, Entry, EvictionClass, Known, ServerIndex, Session, Tied};
pub use feed::{Delivery, Lost, Patience, Role, Round};
pub use list::{Cursor, Filter, Page};
pub use servers::{ServerHandle, TooManyServers};
pub use spec::{InvalidTableName, Persist, TableName, TableSpec};
pub use subscription::{Confirmation, Subscription};

use feed::{Awaited, SubscriberId, Subscribers};

/// A table of sessions, shared between threads.
///
/// Every `now` is the wall clock, because stamps outlive the process. It may step: a stamp in the future counts as now, and
/// sessions that expired by a step forward are live again after the step back, unless their slots were reused. Of a step that this
/// process saw, [`Table::skip`] tells it: then no session expires by it.
pub struct Table {
    shards: Box<[Padded]>,
    servers: Mutex<Servers>,
    state: RwLock<State>,
    subscribers: Mutex<Subscribers>,
    /// What the wall clock has skipped, as the shards know it: from, to.
    skipped: [StdAtomicU32; 2],
    /// The number of subscribers that responses wait for.
    awaited: AtomicU32,
    /// Held while a new spec is applied.
    succession: Mutex<()>,
}

/// A shard whose lock shares neither a cache line nor the adjacent, prefetched line with another shard.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

#[derive(Debug)]
struct State {
    spec: Arc<TableSpec>,
    counts: Arc<Counts>,
    /// The previous counts, which shards use until the new spec reaches them.
    earlier: Option<Arc<Counts>>,
}

impl Table {
    /// Creates an empty table and allocates all the memory that it needs.
    pub fn new(spec: TableSpec) -> Self {
        let spec = Arc::new(spec);
        let counts = Arc::new(Counts::new(Period::of(spec.lifetime)));
        let shard = || Shard::new(&spec, Arc::clone(&counts));
        let shards = (0..SHARDS).map(|_| Padded(Mutex::new(shard()))).collect();
        let state = RwLock::new(State { spec, counts, earlier: None });
        Self {
            shards,
            servers: Mutex::default(),
            state,
            subscribers: Mutex::default(),
            skipped: Default::default(),
            awaited: AtomicU32::new(0),
            succession: Mutex::new(()),
        }
    }

    pub fn spec(&self) -> Arc<TableSpec> {
        Arc::clone(&self.state.read().spec)
    }

    /// The most memory that this table uses, in bytes, nearly all of it from the start. Each server takes about 400 bytes more.
    pub fn bytes(&self) -> usize {
        let spec = &self.state.read().spec;
        size_of::<Self>() + SHARDS * (size_of::<Padded>() + Size::of(spec).bytes(spec))
    }

    /// From now on, these dates count as skipped: sessions do not grow older by a step of the clock. Cheap if they are known already.
    pub fn skip(&self, skipped: Skipped) {
        let [from, to] = &self.skipped;
        if (from.load(Relaxed), to.load(Relaxed)) == (skipped.from.0, skipped.to.0) {
            return;
        }
        self.shards.iter().for_each(|Padded(shard)| shard.lock().skip(skipped));
        from.store(skipped.from.0, Relaxed);
        to.store(skipped.to.0, Relaxed);
    }

    /// Counters since the table was created.
    pub fn stats(&self) -> Stats {
        self.shards.iter().fold(Stats::default(), |sum, shard| sum.plus(shard.0.lock().stats()))
    }

    // Servers.

    /// Gives a server its number in this table. Call it once per server when a configuration is applied, and keep the handle as
    /// long as sessions may be tied to the server.
    ///
    /// # Errors
    /// 65,536 servers already have a handle or entries.
    pub fn register(&self, id: &ServerId) -> Result<ServerHandle, TooManyServers> {
        let handle = self.servers.lock().register(id)?;
        let state = self.state.read();
        state.counts.register(handle.index());
        state.earlier.iter().for_each(|counts| counts.register(handle.index()));
        Ok(handle)
    }

    /// The server with this number.
    pub fn server(&self, index: ServerIndex) -> Option<ServerId> {
        self.servers.lock().id(index).cloned()
    }

    /// The number of a registered server.
    pub fn index_of(&self, id: &ServerId) -> Option<ServerIndex> {
        self.servers.lock().find(id)
    }

    /// All servers that have a number.
    pub fn servers(&self) -> Vec<(ServerIndex, ServerId)> {
        self.servers.lock().all().map(|(index, id)| (index, id.clone())).collect()
    }

    /// Frees the numbers that no handle and no entry, live or expired, has used since the last call, and returns how many.
    ///
    /// Call it from time to time. Changes name their server by number, so it does nothing until every subscriber has completed a
    /// round that began after the last call.
    pub fn tidy(&self) -> usize {
        let mut subscribers = self.subscribers.lock();
        if !subscribers.begin_tidying() {
            return 0;
        }
        let state = self.state.read();
        self.servers.lock().tidy(|server| state.counted(|counts| counts.entries(server)))
    }

    // Sessions, for requests.

    /// Looks up a session that a request names. The session counts as seen now (stamped at most once per tenth of the idle time)
    /// and is established from now on.
    pub fn look(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        self.shard(fingerprint).lock().look(fingerprint, now)
    }

    /// Looks up a session without any effect on it.
    pub fn find(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        self.shard(fingerprint).lock().find(fingerprint, now)
    }

    /// Ties a session to this server, because the application has confirmed it there or it has moved there for good: creates it,
    /// moves it, or keeps it and counts it as seen. An expired session is created again. There is always room.
    pub fn tie(&self, fingerprint: Fingerprint, server: &ServerHandle, budget: Budget, now: impl Into<UnixMillis>) -> Tied {
        self.shard(fingerprint).lock().tie(fingerprint, server, budget, now.into())
    }

    /// Forgets a session, and returns it if it was live.
    pub fn forget(&self, fingerprint: Fingerprint, now: impl Into<UnixMillis>) -> Option<Session> {
        self.shard(fingerprint).lock().forget(fingerprint, now.into())
    }

    // Sessions, for operators and balancing.

    /// The live sessions of a server: within their idle time, exact to a tenth of it. If both idle time and life are limited,
    /// sessions past their life count until their idle time is over. Takes about 50 ns.
    pub fn count(&self, server: ServerIndex, now: UnixSeconds) -> u64 {
        self.state.read().counted(|counts| counts.live(server, now))
    }

    /// The sessions from `cursor` on that match `filter`, at most `limit`. With a selective filter one call reads much of the
    /// table, though never more than 64 KiB under one lock. Do not call it from a thread that serves requests.
    pub fn list(&self, filter: &Filter, cursor: Cursor, limit: usize, now: UnixSeconds) -> Page {
        let (first, last) = filter.prefix.map_or((0, u8::MAX), Prefix::first_bytes);
        let mut page = Page { entries: Vec::new(), next: Some(cursor.at_least(first)) };
        while let Some(at) = page.next.filter(|at| at.shard() <= usize::from(last)) {
            if page.entries.len() >= limit {
                return page;
            }
            page.next = self.read(at, now, |_, place, entry| {
                if filter.matches(&entry, now) {
                    page.entries.push(entry);
                }
                if page.entries.len() < limit { Step::On } else { Step::Stop(place) }
            });
        }
        page.next = None;
        page
    }

    /// Forgets every session of a server, and returns how many were live. It reads the whole table: do not call it from a thread
    /// that serves requests.
    pub fn forget_server(&self, server: ServerIndex, now: impl Into<UnixMillis>) -> u64 {
        let (mut forgotten, now) = (0, now.into());
        for Padded(shard) in &self.shards {
            let mut slot = 0;
            loop {
                let mut shard = shard.lock();
                if slot >= shard.slots() {
                    break;
                }
                let end = (slot + PIECE).min(shard.slots());
                forgotten += shard.forget_server(server, slot..end, now);
                slot = end;
            }
        }
        forgotten
    }

    // The change feed, and the table in pieces.

    /// The number of shards.
    pub fn shards(&self) -> usize {
        SHARDS
    }

    fn subscribe(&self, role: Role, delivery: Delivery) -> SubscriberId {
        let id = self.subscribers.lock().add(delivery);
        self.shards.iter().for_each(|Padded(shard)| shard.lock().feed().add(id, role));
        self.set_delivery(id, delivery);
        id
    }

    fn unsubscribe(&self, id: SubscriberId) {
        self.shards.iter().for_each(|Padded(shard)| shard.lock().feed().remove(id));
        let mut subscribers = self.subscribers.lock();
        let waiting = subscribers.remove(id);
        self.count_awaited(&subscribers);
        drop(subscribers);
        waiting.into_iter().for_each(std::task::Waker::wake);
    }

    fn mute(&self, id: SubscriberId) {
        self.shards.iter().for_each(|Padded(shard)| shard.lock().feed().mute(id));
        let mut subscribers = self.subscribers.lock();
        let waiting = subscribers.mute(id);
        self.count_awaited(&subscribers);
        drop(subscribers);
        waiting.into_iter().for_each(std::task::Waker::wake);
    }

    fn set_delivery(&self, id: SubscriberId, delivery: Delivery) {
        let mut subscribers = self.subscribers.lock();
        subscribers.set_delivery(id, delivery);
        self.count_awaited(&subscribers);
    }

    fn count_late(&self, rounds: &[Awaited]) -> Patience {
        let mut subscribers = self.subscribers.lock();
        let patience = subscribers.count_late(rounds);
        self.count_awaited(&subscribers);
        patience
    }

    fn keeps_up(&self, id: SubscriberId) {
        let mut subscribers = self.subscribers.lock();
        subscribers.keeps_up(id);
        self.count_awaited(&subscribers);
    }

    /// Asks the subscribers that responses wait for to take the changes so far at once.
    pub fn hurry(&self) {
        if self.is_awaited() {
            let wakers = self.subscribers.lock().hurry();
            wakers.into_iter().for_each(std::task::Waker::wake);
        }
    }

    /// How many responses were sent before all subscribers knew of their change, since the table was created.
    pub fn late_confirmations(&self) -> u64 {
        self.subscribers.lock().late()
    }

    fn count_awaited(&self, subscribers: &Subscribers) {
        self.awaited.store(u32::try_from(subscribers.awaited()).unwrap_or(u32::MAX), Release);
    }

    #[inline]
    fn is_awaited(&self) -> bool {
        self.awaited.load(Acquire) > 0
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock()
    }

    fn drain(&self, shard: usize, subscriber: SubscriberId, into: &mut Vec<Change>) -> Lost {
        self.shards.get(shard).map_or_else(Lost::default, |shard| shard.0.lock().feed().drain(subscriber, into))
    }

    /// Appends the next piece of the table's live sessions, at most [`Table::PIECE`], and returns the start of the next piece;
    /// None at the end. A piece comes from one shard.
    ///
    /// A checkpoint is all pieces from the default cursor on, plus every change that a subscriber drained from before the first
    /// piece until after the last, applied in order. If a session occurs twice, the later state counts.
    pub fn export(&self, cursor: Cursor, now: UnixSeconds, into: &mut Vec<Entry>) -> Option<Cursor> {
        self.read(cursor, now, |_, _, entry| {
            into.push(entry);
            Step::On
        })
    }

    /// Appends the next piece of the table as changes for a peer.
    fn export_decisions(&self, cursor: Cursor, now: UnixSeconds, into: &mut Vec<Change>) -> Option<Cursor> {
        let next = self.read(cursor, now, |shard, _, entry| {
            into.push(shard.offer(entry));
            Step::On
        });
        // After the sessions: one that was deleted meanwhile stays deleted.
        if let Some(Padded(shard)) = self.shards.get(cursor.shard()).filter(|_| cursor.slot == 0) {
            into.extend(shard.lock().deletions());
        }
        next
    }

    fn apply(&self, change: &Change, from: SubscriberId, now: UnixSeconds) {
        let rank = match change.kind {
            ChangeKind::Forgotten => Some(Rank::FORGOTTEN),
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed | ChangeKind::Offered => {
                self.servers.lock().rank(change.entry.session.server)
            }
        };
        if let Some(rank) = rank {
            self.shard(change.entry.fingerprint).lock().apply(change, rank, from, now);
        }
    }

    /// The most entries that one call of [`Table::export`] appends.
    pub const PIECE: usize = PIECE;

    /// Imports a stored or received session, replacing what the table has of it. The server's number must be one of this table:
    /// [`Table::register`] the servers first, and keep the handles until all entries are imported.
    ///
    /// An entry that has expired meanwhile is not stored, but still removes the existing one. To apply a
    /// [`ChangeKind::Forgotten`] use [`Table::forget`].
    pub fn import(&self, entry: &Entry, now: UnixSeconds) {
        self.shard(entry.fingerprint).lock().import(entry, now);
    }

    // Reload.

    /// Applies another spec. The sessions stay, except that a smaller capacity evicts those that matter least, and a shorter life
    /// or idle time expires some.
    ///
    /// Requests continue meanwhile. The shards are changed one after the other, each under its lock: at 10 million sessions, a
    /// new capacity, idle time or life delays one name in 256 by a few milliseconds. The memory of one shard is needed twice.
    pub fn succeed(&self, spec: TableSpec, now: UnixSeconds) {
        let _one_at_a_time = self.succession.lock();
        let spec = Arc::new(spec);
        let slots = self.adopt(&spec);
        let counts = Arc::clone(&self.state.read().counts);
        for Padded(shard) in &self.shards {
            let room = match slots {
                Slots::Same => None,
                Slots::Others => Some(shard::pages(&spec)),
            };
            shard.lock().succeed(&spec, room, &counts, now);
        }
        self.state.write().earlier = None;
    }

    fn adopt(&self, spec: &Arc<TableSpec>) -> Slots {
        let mut state = self.state.write();
        let slots = if Size::of(spec).pages == Size::of(&state.spec).pages { Slots::Same } else { Slots::Others };
        let period = Period::of(spec.lifetime);
        if period != state.counts.period() {
            let counts = Arc::new(Counts::new(period));
            self.servers.lock().all().for_each(|(index, _)| counts.register(index));
            state.earlier = Some(std::mem::replace(&mut state.counts, counts));
        }
        state.spec = Arc::clone(spec);
        slots
    }

    fn shard(&self, fingerprint: Fingerprint) -> &Mutex<Shard> {
        let [first, ..] = fingerprint.bytes();
        &self.shards[usize::from(first)].0
    }

    /// Reads one piece, and returns the start of the next.
    fn read(&self, cursor: Cursor, now: UnixSeconds, mut each: impl FnMut(&Shard, usize, Entry) -> Step) -> Option<Cursor> {
        let shard = self.shards.get(cursor.shard())?.0.lock();
        let begin = if cursor.shape == shard.shape() { cursor.slot as usize } else { 0 };
        let end = (begin + PIECE).min(shard.slots());
        for (slot, entry) in shard.entries(begin..end, now) {
            if let Step::Stop(slot) = each(&shard, slot, entry) {
                return Some(cursor.within(shard.shape(), slot + 1));
            }
        }
        if end < shard.slots() {
            return Some(cursor.within(shard.shape(), end));
        }
        cursor.next_shard().filter(|next| next.shard() < SHARDS)
    }
}

impl State {
    /// The sum of both counts. A session that moves to the new counts is added there before it is removed from the earlier ones,
    /// so it is counted twice at worst.
    fn counted(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        let earlier = self.earlier.as_deref().map_or(0, &of);
        earlier + of(&self.counts)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("spec", &self.spec()).finish_non_exhaustive()
    }
}

enum Step {
    On,
    /// Stop after this slot.
    Stop(usize),
}

#[derive(Clone, Copy)]
enum Slots {
    Same,
    Others,
}
