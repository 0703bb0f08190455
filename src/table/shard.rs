//! One shard of a table, behind its own lock: the pages, one for each name, and the queues of changes.

use std::ops::Range;
use std::sync::Arc;

use super::counts::Counts;
use super::decisions::{Decision, Rank};
use super::entry::{Budget, Change, ChangeKind, Entry, EvictionClass, Known, ServerIndex, Session, Tied};
use super::feed::Queues;
use super::moment::Moment;
use super::page::{At, Page, Room};
use super::servers::ServerHandle;
use super::size::Size;
use super::spec::TableSpec;
use crate::session::fingerprint::Fingerprint;
use crate::session::lifetime::Lifetime;
use crate::session::stamps::Stamps;
use crate::table::stats::Stats;
use crate::time::{Skipped, UnixMillis, UnixSeconds};

/// The most slots that are read while holding the lock once: 64 KiB.
pub(crate) const PIECE: usize = 64 * 1024 / size_of::<Page>() * Page::SLOTS;

/// After this many unsuccessful searches for room in a row, a shard searches only at every 64th session.
const MAX_FAILURES: u8 = 6;

/// The fields that every lookup needs come first, in one cache line with the lock.
#[repr(C)]
pub(crate) struct Shard {
    pages: Box<[Page]>,
    lifetime: Lifetime,
    skipped: Skipped,
    counts: Arc<Counts>,
    feed: Queues,
    stats: Stats,
    backoff: SearchBackoff,
    /// Changes when slot numbers change their meaning.
    shape: u16,
}

/// For which sessions to search for room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Search {
    /// For a new session: do not search if the victim is over budget, as there may be a flood of those.
    ByClass,
    /// For a session that existed before: none may be lost where all had room.
    Always,
}

/// A slot, and the page that it is in.
#[derive(Clone, Copy, Debug)]
struct Place {
    page: usize,
    at: At,
}

/// How many searches for room have failed in a row, and how many sessions have come since the last search.
#[derive(Debug, Default)]
struct SearchBackoff {
    failures: u8,
    since: u8,
}

/// Allocates the pages of a shard.
pub(crate) fn pages(spec: &TableSpec) -> Box<[Page]> {
    vec![Page::EMPTY; Size::of(spec).pages].into_boxed_slice()
}

impl Shard {
    pub(crate) fn new(spec: &TableSpec, counts: Arc<Counts>) -> Self {
        let feed = Queues::new(Size::of(spec).sessions);
        let (stats, backoff) = (Stats::default(), SearchBackoff::default());
        Self {
            pages: pages(spec),
            lifetime: spec.lifetime,
            skipped: Skipped::default(),
            counts,
            feed,
            stats,
            backoff,
            shape: 0,
        }
    }

    /// From now on, these dates count as skipped.
    pub(crate) fn skip(&mut self, skipped: Skipped) {
        self.skipped = skipped;
    }

    pub(crate) fn look(&mut self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        let Some((place, old)) = self.locate(fingerprint) else { return Known::Unknown };
        let moment = self.moment(now);
        if let Err(why) = moment.check(&old) {
            return Known::Expired(why);
        }
        let session = Session { stamps: moment.renew(old.stamps), class: EvictionClass::Established, ..old };
        if session != old {
            self.update(place, fingerprint, old, session);
        }
        Known::Session(session)
    }

    pub(crate) fn find(&self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        let Some((_, session)) = self.locate(fingerprint) else { return Known::Unknown };
        match self.moment(now).check(&session) {
            Ok(()) => Known::Session(session),
            Err(why) => Known::Expired(why),
        }
    }

    pub(crate) fn tie(&mut self, fingerprint: Fingerprint, server: &ServerHandle, budget: Budget, now: UnixMillis) -> Tied {
        let moment = self.moment(now.seconds());
        self.feed.fetch();
        if let Some((place, old)) = self.locate(fingerprint) {
            if moment.lives(&old) {
                return self.confirm(place, Entry { fingerprint, session: old }, server, now);
            }
            self.vacate(place, old);
        }
        let stamps = Stamps { issued: moment.now, seen: moment.now };
        let session = Session { server: server.index(), stamps, class: EvictionClass::of(budget) };
        let entry = Entry { fingerprint, session };
        self.insert_and_record_neighbor(&entry, Search::ByClass, moment);
        self.stats.created += 1;
        let at = self.feed.decide(fingerprint, server.rank(), now);
        self.feed.record(Change { kind: ChangeKind::Created, entry, at });
        Tied::Created
    }

    pub(crate) fn forget(&mut self, fingerprint: Fingerprint, now: UnixMillis) -> Option<Session> {
        let Some((place, session)) = self.locate(fingerprint) else {
            self.forget_unknown(fingerprint, now);
            return None;
        };
        self.drop_entry(place, Entry { fingerprint, session }, now);
        self.moment(now.seconds()).lives(&session).then_some(session)
    }

    /// Another process may have the session.
    fn forget_unknown(&mut self, fingerprint: Fingerprint, now: UnixMillis) {
        if let Some(decisions) = self.feed.decisions() {
            let at = decisions.decide(fingerprint, Rank::FORGOTTEN, now);
            self.feed.record(Change::deletion(fingerprint, at));
        }
    }

    /// Stores an entry, replacing what the shard has of its session.
    pub(crate) fn import(&mut self, entry: &Entry, now: UnixSeconds) {
        let moment = self.moment(now);
        let known = self.locate(entry.fingerprint);
        if let Some((place, old)) = known {
            self.vacate(place, old);
        }
        let at = UnixMillis::from(now);
        if !moment.lives(&entry.session) {
            if let Some((_, session)) = known.filter(|(_, session)| moment.lives(session)) {
                self.feed.record(Change { kind: ChangeKind::Forgotten, entry: Entry { session, ..*entry }, at });
            }
            return;
        }
        self.insert_and_record_neighbor(entry, Search::Always, moment);
        let kind = match known {
            None => ChangeKind::Created,
            Some((_, old)) if old.server == entry.session.server => ChangeKind::Refreshed,
            Some(_) => ChangeKind::Moved,
        };
        self.feed.record(Change { kind, entry: *entry, at });
    }

    // For `exchange`.

    /// A session, live or expired.
    pub(crate) fn get(&self, fingerprint: Fingerprint) -> Option<Session> {
        self.locate(fingerprint).map(|(_, session)| session)
    }

    pub(crate) fn is_live(&self, fingerprint: Fingerprint, now: UnixSeconds) -> bool {
        self.get(fingerprint).is_some_and(|session| self.moment(now).lives(&session))
    }

    /// Removes a session, live or expired, without recording it.
    pub(crate) fn remove(&mut self, fingerprint: Fingerprint) -> Option<Session> {
        let (place, session) = self.locate(fingerprint)?;
        self.vacate(place, session);
        Some(session)
    }

    /// Replaces the state of a session that stays on its server, without recording it.
    pub(crate) fn replace(&mut self, fingerprint: Fingerprint, session: Session) {
        if let Some((place, old)) = self.locate(fingerprint) {
            self.pages[place.page].set(place.at, session);
            self.counts.restamp(session.server, old.stamps, session.stamps);
        }
    }

    /// Inserts a session that is not in the shard, without recording it.
    pub(crate) fn insert_if_live(&mut self, entry: &Entry, now: UnixSeconds) {
        let moment = self.moment(now);
        if moment.lives(&entry.session) {
            self.insert_and_record_neighbor(entry, Search::Always, moment);
        }
    }

    /// When and for which server a session was decided, if that is remembered.
    pub(crate) fn decision(&self, fingerprint: Fingerprint) -> Option<Decision> {
        self.feed.remembered().and_then(|decisions| decisions.get(fingerprint))
    }

    /// The latest deletions.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = Change> {
        let decisions = self.feed.remembered().into_iter();
        decisions.flat_map(|decisions| decisions.deletions()).map(|(fingerprint, at)| Change::deletion(fingerprint, at))
    }

    /// Forgets the sessions of a server in these slots, and returns how many of them were live.
    pub(crate) fn forget_server(&mut self, server: ServerIndex, slots: Range<usize>, now: UnixMillis) -> u64 {
        let mut live = 0;
        for place in slots.map(Place::index) {
            let entry = self.pages[place.page].entry(place.at);
            if let Some(entry) = entry.filter(|entry| entry.session.server == server) {
                self.drop_entry(place, entry, now);
                live += u64::from(self.moment(now.seconds()).lives(&entry.session));
            }
        }
        live
    }

    /// The live sessions in these slots, each with its slot.
    pub(crate) fn entries(&self, slots: Range<usize>, now: UnixSeconds) -> impl Iterator<Item = (usize, Entry)> {
        let moment = self.moment(now);
        slots.filter_map(move |index| {
            let Place { page, at } = Place::index(index);
            let entry = self.pages[page].entry(at)?;
            moment.lives(&entry.session).then_some((index, entry))
        })
    }

    pub(crate) fn slots(&self) -> usize {
        self.pages.len() * Page::SLOTS
    }

    pub(crate) fn shape(&self) -> u16 {
        self.shape
    }

    pub(crate) fn feed(&mut self) -> &mut Queues {
        &mut self.feed
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Applies a new spec, moving to `room` if it is given; `counts` may be the current ones.
    pub(crate) fn succeed(&mut self, spec: &TableSpec, room: Option<Box<[Page]>>, counts: &Arc<Counts>, now: UnixSeconds) {
        self.feed.rebound(Size::of(spec).sessions);
        self.lifetime = spec.lifetime;
        let others = !Arc::ptr_eq(&self.counts, counts);
        if !others && room.is_none() {
            return;
        }
        let room = room.unwrap_or_else(|| vec![Page::EMPTY; self.pages.len()].into_boxed_slice());
        self.shape = self.shape.wrapping_add(1);
        let earlier = std::mem::replace(&mut self.pages, room);
        let counted = std::mem::replace(&mut self.counts, Arc::clone(counts));
        let moment = self.moment(now);
        for index in 0..earlier.len() * Page::SLOTS {
            let Place { page, at } = Place::index(index);
            let Some(entry) = earlier[page].entry(at) else { continue };
            if moment.lives(&entry.session) {
                self.insert(&entry, Search::Always, moment);
            }
            // Counted twice for a moment rather than not at all, or its server could seem to have no sessions.
            counted.remove(&entry.session);
        }
    }

    fn moment(&self, now: UnixSeconds) -> Moment {
        Moment { lifetime: self.lifetime, now, skipped: self.skipped }
    }

    #[inline]
    fn locate(&self, fingerprint: Fingerprint) -> Option<(Place, Session)> {
        let page = self.page(fingerprint);
        let (at, session) = self.pages[page].locate(fingerprint)?;
        Some((Place { page, at }, session))
    }

    /// The page of a name.
    #[inline]
    fn page(&self, fingerprint: Fingerprint) -> usize {
        // The first byte chooses the shard.
        let [_, a, b, c, d, ..] = fingerprint.bytes();
        let draw = u64::from(u32::from_be_bytes([a, b, c, d]));
        ((draw * self.pages.len() as u64) >> 32) as usize
    }

    fn confirm(&mut self, place: Place, known: Entry, server: &ServerHandle, now: UnixMillis) -> Tied {
        let Entry { fingerprint, session: old } = known;
        let moment = self.moment(now.seconds());
        if old.server == server.index() {
            let session = Session { stamps: moment.renew(old.stamps), ..old };
            if session != old {
                self.update(place, fingerprint, old, session);
            }
            return Tied::Kept;
        }
        let stamps = Stamps { seen: moment.now, ..old.stamps };
        let session = Session { server: server.index(), stamps, ..old };
        self.pages[place.page].set(place.at, session);
        self.counts.exchange(&old, &session);
        self.stats.moved += 1;
        let at = self.feed.decide(fingerprint, server.rank(), now);
        self.feed.record(Change { kind: ChangeKind::Moved, entry: Entry { fingerprint, session }, at });
        Tied::Moved { from: old.server }
    }

    fn update(&mut self, place: Place, fingerprint: Fingerprint, old: Session, session: Session) {
        self.pages[place.page].set(place.at, session);
        self.counts.restamp(session.server, old.stamps, session.stamps);
        self.record_sign_of_life(Entry { fingerprint, session });
    }

    fn record_sign_of_life(&mut self, entry: Entry) {
        let at = self.decision(entry.fingerprint).map(|decision| decision.at).unwrap_or_default();
        self.feed.record(Change { kind: ChangeKind::Refreshed, entry, at });
    }

    fn insert_and_record_neighbor(&mut self, entry: &Entry, search: Search, moment: Moment) {
        if let Some(neighbor) = self.insert(entry, search, moment) {
            self.record_sign_of_life(neighbor);
        }
    }

    /// Inserts a session that is not in the shard. Returns the neighbor that was moved to make room, if any.
    fn insert(&mut self, entry: &Entry, search: Search, moment: Moment) -> Option<Entry> {
        let page = self.page(entry.fingerprint);
        let (at, neighbor) = match self.pages[page].room(entry.fingerprint, moment) {
            Room::Free(at) => (at, None),
            Room::Taken(at, class) => self.make_room(page, entry.fingerprint, (at, class), search, moment),
        };
        match self.pages[page].session(at) {
            Some(old) => self.counts.exchange(&old, &entry.session),
            None => self.counts.add(&entry.session),
        }
        self.pages[page].put(at, entry);
        neighbor
    }

    /// Moves a neighbor to its other bucket and returns it. If none can move, or if a search is not worthwhile, the victim is
    /// evicted.
    fn make_room(
        &mut self,
        page: usize,
        name: Fingerprint,
        victim: (At, EvictionClass),
        search: Search,
        moment: Moment,
    ) -> (At, Option<Entry>) {
        let (at, class) = victim;
        let search = (class > EvictionClass::OverBudget || search == Search::Always) && self.backoff.is_time();
        let Some((from, to)) = search.then(|| self.pages[page].relocation(name, moment)).flatten() else {
            self.stats.evicted(class);
            return (at, None);
        };
        self.backoff = SearchBackoff::default();
        if let Some(expired) = self.pages[page].session(to) {
            self.vacate(Place { page, at: to }, expired);
        }
        let neighbor = self.pages[page].entry(from);
        if let Some(neighbor) = &neighbor {
            self.pages[page].put(to, neighbor);
            self.pages[page].clear(from);
            self.stats.displaced += 1;
        }
        (from, neighbor)
    }

    fn drop_entry(&mut self, place: Place, entry: Entry, now: UnixMillis) {
        self.vacate(place, entry.session);
        self.stats.forgotten += 1;
        let at = self.feed.decide(entry.fingerprint, Rank::FORGOTTEN, now);
        self.feed.record(Change { kind: ChangeKind::Forgotten, entry, at });
    }

    fn vacate(&mut self, place: Place, session: Session) {
        self.pages[place.page].clear(place.at);
        self.counts.remove(&session);
    }
}

impl Place {
    fn index(index: usize) -> Self {
        Self { page: index / Page::SLOTS, at: At::index(index % Page::SLOTS) }
    }
}

impl SearchBackoff {
    /// Whether to search for room now: always at first, more and more rarely while searches fail. So searching costs a full table
    /// little, and a table that is not full loses no session.
    fn is_time(&mut self) -> bool {
        self.since = self.since.saturating_add(1);
        if self.since < 1 << self.failures {
            return false;
        }
        *self = Self { failures: (self.failures + 1).min(MAX_FAILURES), since: 0 };
        true
    }
}
