//! The session table: which server a session was tied to, by its name, for names that the application makes.
//!
//! It holds [`TableSpec::capacity`] sessions at 43 octets each, and when more come it lets go of those that matter least:
//! expired ones, those over their network's [`CreationBudget`], those never seen again, and only then established ones, each
//! time those not seen for longest. Nothing runs in the background: what has expired is overwritten.
//!
//! # How it is built
//!
//! 256 shards, chosen by the fingerprint's first octet, each behind a lock of its own; nothing is done without the lock, and
//! no lock is held for longer than 64 KiB take to read, a reload apart. In its shard a name has a page of memory, and in that
//! two buckets of seven slots, all chosen by the fingerprint. It is put into the first that has room; if both are full, a
//! neighbour moves to its other bucket. So fewer than one in 10,000 is pushed out while no more than `capacity` live. Locks
//! are taken in the order shard, counts, and subscribers, state, servers; nobody who holds one of a group asks for one of the
//! other.
//!
//! It does no I/O: whoever writes it down or copies it follows its changes ([`Subscription`]) and reads it in pieces
//! ([`Table::export`]). It does not know which servers are up, nor what a name was.

mod bucket;
mod budget;
mod counts;
mod entry;
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
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::ids::ServerId;
use crate::lock::{AtomicU32, Mutex, MutexGuard, RwLock};
use crate::session::fingerprint::{Fingerprint, Prefix};
use crate::time::UnixSeconds;
use counts::{Counts, Pace};
use servers::Servers;
use shard::{PIECE, Shard};
use size::{SHARDS, Size};

pub use crate::table::stats::Tally;
pub use budget::{BudgetSpec, CreationBudget};
pub use entry::{Budget, Change, ChangeKind, Class, Entry, Known, ServerIndex, Session, Tied};
pub use feed::{Delivery, Lost, Round};
pub use list::{Cursor, Filter, Page};
pub use servers::{Enlisted, TooManyServers};
pub use spec::{InvalidTableName, Persist, TableName, TableSpec};
pub use subscription::{Confirmation, Subscription};

use feed::{SubscriberId, Subscribers};
/// A table of sessions, shared by all who use it.
///
/// Every `now` is the wall clock, as stamps outlive the process. It may step: a stamp in the future counts as now, and what
/// expired by a step forth lives again after the step back, unless its place was needed.
pub struct Table {
    shards: Box<[Padded]>,
    servers: Mutex<Servers>,
    state: RwLock<State>,
    subscribers: Mutex<Subscribers>,
    /// How many subscribers answers wait for.
    awaited: AtomicU32,
    /// Held while the table is given another spec.
    succession: Mutex<()>,
}

/// A shard whose lock shares no cache line, nor the one that processors fetch beside it, with another's.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

#[derive(Debug)]
struct State {
    spec: Arc<TableSpec>,
    counts: Arc<Counts>,
    /// What shards still use that have not heard of the new ones.
    earlier: Option<Arc<Counts>>,
}

impl Table {
    /// Makes an empty table and takes all the memory that it will need.
    pub fn new(spec: TableSpec) -> Self {
        let spec = Arc::new(spec);
        let counts = Arc::new(Counts::new(Pace::of(spec.lifetime)));
        let shard = || Shard::new(&spec, Arc::clone(&counts));
        let shards = (0..SHARDS).map(|_| Padded(Mutex::new(shard()))).collect();
        let state = RwLock::new(State { spec, counts, earlier: None });
        Self {
            shards,
            servers: Mutex::default(),
            state,
            subscribers: Mutex::default(),
            awaited: AtomicU32::new(0),
            succession: Mutex::new(()),
        }
    }

    pub fn spec(&self) -> Arc<TableSpec> {
        Arc::clone(&self.state.read().spec)
    }

    /// The memory that this table takes at most, in octets; nearly all of it from the beginning. Beside it each server costs
    /// some 400.
    pub fn bytes(&self) -> usize {
        let spec = &self.state.read().spec;
        size_of::<Self>() + SHARDS * (size_of::<Padded>() + Size::of(spec).bytes(spec))
    }

    /// What has happened since the table was made.
    pub fn tally(&self) -> Tally {
        self.shards.iter().fold(Tally::default(), |sum, shard| sum.plus(shard.0.lock().tally()))
    }

    // Servers.

    /// Gives a server its number in this table: for whoever makes or loads a configuration, once per server. Keep what you
    /// get for as long as sessions may be tied to it.
    ///
    /// # Errors
    /// There are 65,536 already that are held or have entries.
    pub fn enlist(&self, id: &ServerId) -> Result<Enlisted, TooManyServers> {
        let enlisted = self.servers.lock().enlist(id)?;
        let state = self.state.read();
        state.counts.enlist(enlisted.index());
        state.earlier.iter().for_each(|counts| counts.enlist(enlisted.index()));
        Ok(enlisted)
    }

    /// The server with this number.
    pub fn server(&self, index: ServerIndex) -> Option<ServerId> {
        self.servers.lock().id(index).cloned()
    }

    /// The number of a server that was enlisted.
    pub fn index_of(&self, id: &ServerId) -> Option<ServerIndex> {
        self.servers.lock().find(id)
    }

    /// All servers that have a number.
    pub fn servers(&self) -> Vec<(ServerIndex, ServerId)> {
        self.servers.lock().all().map(|(index, id)| (index, id.clone())).collect()
    }

    /// Lets other servers have the numbers that nobody has held and no entry has had since the last time, expired ones
    /// included. Tells how many.
    ///
    /// Now and then. A change names its server by number, so nothing is done while a subscriber has not completed a round that
    /// began after the last time.
    pub fn tidy(&self) -> usize {
        let mut subscribers = self.subscribers.lock();
        if !subscribers.begin_tidying() {
            return 0;
        }
        let state = self.state.read();
        self.servers.lock().tidy(|server| state.counted(|counts| counts.entries(server)))
    }

    // Sessions, on the way of a request.

    /// What is known of a session that a request names. It counts as seen now (stamped at most once per tenth of the idle
    /// time) and is established from now on.
    pub fn look(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        self.shard(fingerprint).lock().look(fingerprint, now)
    }

    /// What is known of a session, without any effect on it.
    pub fn find(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        self.shard(fingerprint).lock().find(fingerprint, now)
    }

    /// The application has confirmed a session at this server, or it has moved there for good: creates it, moves it, or keeps
    /// it and counts it as seen. A session that has expired is created anew. There is always room.
    pub fn tie(&self, fingerprint: Fingerprint, server: &Enlisted, budget: Budget, now: UnixSeconds) -> Tied {
        self.shard(fingerprint).lock().tie(fingerprint, server.index(), budget, now)
    }

    /// Forgets a session, and tells what it was if it lived.
    pub fn forget(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Option<Session> {
        self.shard(fingerprint).lock().forget(fingerprint, now)
    }

    // Sessions, for operators and balancing.

    /// Sessions that live on a server: within idle time, exact to a tenth of it. With a limit on life beside the idle time,
    /// sessions whose life is over count until their idle time is. Costs some 50 ns.
    pub fn count(&self, server: ServerIndex, now: UnixSeconds) -> u64 {
        self.state.read().counted(|counts| counts.live(server, now))
    }

    /// The sessions from `cursor` on that `filter` wants, at most `limit`. A filter that wants few goes through much of the
    /// table in one call, though never for longer than 64 KiB under one lock: not for a thread that serves requests.
    pub fn list(&self, filter: &Filter, cursor: Cursor, limit: usize, now: UnixSeconds) -> Page {
        let (first, last) = filter.prefix.map_or((0, u8::MAX), Prefix::first_octets);
        let mut page = Page { entries: Vec::new(), next: Some(cursor.at_least(first)) };
        while let Some(at) = page.next.filter(|at| at.shard() <= usize::from(last)) {
            if page.entries.len() >= limit {
                return page;
            }
            page.next = self.read(at, now, |place, entry| {
                if filter.wants(&entry, now) {
                    page.entries.push(entry);
                }
                if page.entries.len() < limit { Step::On } else { Step::Stop(place) }
            });
        }
        page.next = None;
        page
    }

    /// Forgets every session of a server, and tells how many lived. It goes through the whole table: not for a thread that
    /// serves requests.
    pub fn forget_server(&self, server: ServerIndex, now: UnixSeconds) -> u64 {
        let mut forgotten = 0;
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

    /// How many parts the changes come from.
    pub fn shards(&self) -> usize {
        SHARDS
    }

    fn subscribe(&self, delivery: Delivery) -> SubscriberId {
        let id = self.subscribers.lock().add(delivery);
        self.shards.iter().for_each(|Padded(shard)| shard.lock().feed().add(id));
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

    fn set_delivery(&self, id: SubscriberId, delivery: Delivery) {
        let mut subscribers = self.subscribers.lock();
        subscribers.set_delivery(id, delivery);
        self.count_awaited(&subscribers);
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

    /// Appends the next piece of the table's live sessions, at most [`Table::PIECE`], and tells where the next begins; None
    /// at the end. A piece is of one shard.
    ///
    /// A snapshot is all pieces from the default cursor on, and every change that a subscriber has drained from before the first
    /// piece until after the last, applied in order. What is in it twice is the later of the two.
    pub fn export(&self, cursor: Cursor, now: UnixSeconds, into: &mut Vec<Entry>) -> Option<Cursor> {
        self.read(cursor, now, |_, entry| {
            into.push(entry);
            Step::On
        })
    }

    /// The most entries that one call of [`Table::export`] gives.
    pub const PIECE: usize = PIECE;

    /// Puts in what was stored or comes from elsewhere: it replaces what the table has of that session. The server's number is
    /// one of this table: [`Table::enlist`] its servers first, and hold them until all entries are in.
    ///
    /// An entry that has expired meanwhile is not taken, but still replaces. To apply a [`ChangeKind::Forgotten`] use
    /// [`Table::forget`].
    pub fn import(&self, entry: &Entry, now: UnixSeconds) {
        self.shard(entry.fingerprint).lock().import(entry, now);
    }

    // Reload.

    /// Goes on with another spec. The sessions stay: with a smaller capacity those that matter least go, with a shorter life
    /// or idle time those that have expired by it.
    ///
    /// Requests go on meanwhile. Each shard is changed under its lock, one after the other: at 10 million sessions another
    /// capacity keeps one in 256 names waiting for some milliseconds, and so do other times (to count by other tenths). The
    /// memory of one shard is needed twice.
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
        let pace = Pace::of(spec.lifetime);
        if pace != state.counts.pace() {
            let counts = Arc::new(Counts::new(pace));
            self.servers.lock().all().for_each(|(index, _)| counts.enlist(index));
            state.earlier = Some(std::mem::replace(&mut state.counts, counts));
        }
        state.spec = Arc::clone(spec);
        slots
    }

    fn shard(&self, fingerprint: Fingerprint) -> &Mutex<Shard> {
        let [first, ..] = fingerprint.octets();
        &self.shards[usize::from(first)].0
    }

    /// Reads one piece, and tells where the next begins.
    fn read(&self, cursor: Cursor, now: UnixSeconds, mut each: impl FnMut(usize, Entry) -> Step) -> Option<Cursor> {
        let shard = self.shards.get(cursor.shard())?.0.lock();
        let begin = if cursor.shape == shard.shape() { cursor.slot as usize } else { 0 };
        let end = (begin + PIECE).min(shard.slots());
        for (slot, entry) in shard.entries(begin..end, now) {
            if let Step::Stop(slot) = each(slot, entry) {
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
    /// What both counts have. A session on its way from the earlier to the later is in the later before it leaves the earlier,
    /// so that it is counted twice at worst.
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
    /// This slot was the last.
    Stop(usize),
}

#[derive(Clone, Copy)]
enum Slots {
    Same,
    Others,
}
