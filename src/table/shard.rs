//! One of the parts of a table, each behind a lock of its own: pages, of which every name has one, and the record of what
//! happens in them.

use std::ops::Range;
use std::sync::Arc;

use super::counts::Counts;
use super::entry::{Budget, ChangeKind, Class, Entry, Known, ServerIndex, Session, Tied};
use super::feed::Queues;
use super::moment::Moment;
use super::page::{At, Page, Room};
use super::size::Size;
use super::spec::TableSpec;
use crate::session::fingerprint::Fingerprint;
use crate::session::lifetime::Lifetime;
use crate::session::stamps::Stamps;
use crate::table::stats::Tally;
use crate::time::UnixSeconds;

/// The most slots that are read under one lock: 64 KiB of them.
pub(crate) const PIECE: usize = 64 * 1024 / size_of::<Page>() * Page::SLOTS;

/// A shard that has looked for room in vain this often in a row looks for it only at every 64th session.
const RARELY: u8 = 6;

/// What every look needs comes first, to lie in one cache line with the lock.
#[repr(C)]
pub(crate) struct Shard {
    pages: Box<[Page]>,
    lifetime: Lifetime,
    counts: Arc<Counts>,
    feed: Queues,
    tally: Tally,
    vain: Vain,
    /// Changes when the slots get other meanings.
    shape: u16,
}

/// For whom it is worth the while to look for room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Worth {
    /// A session begins: not at the cost of one that is over budget, of which there may be a flood.
    ByClass,
    /// One that was there already is put in: nobody is to be lost where all have had room.
    Known,
}

/// A slot, and the page that it is in.
#[derive(Clone, Copy, Debug)]
struct Place {
    page: usize,
    at: At,
}

/// How often in a row nothing could be gained by making room, and how many sessions have come since the last try.
#[derive(Debug, Default)]
struct Vain {
    tries: u8,
    since: u8,
}

/// The memory of a shard of a table.
pub(crate) fn pages(spec: &TableSpec) -> Box<[Page]> {
    vec![Page::EMPTY; Size::of(spec).pages].into_boxed_slice()
}

impl Shard {
    pub(crate) fn new(spec: &TableSpec, counts: Arc<Counts>) -> Self {
        let feed = Queues::new(Size::of(spec).sessions);
        let (tally, vain) = (Tally::default(), Vain::default());
        Self { pages: pages(spec), lifetime: spec.lifetime, counts, feed, tally, vain, shape: 0 }
    }

    pub(crate) fn look(&mut self, fingerprint: Fingerprint, now: UnixSeconds) -> Known {
        let Some((place, old)) = self.locate(fingerprint) else { return Known::Unknown };
        let moment = self.moment(now);
        if let Err(why) = moment.check(&old) {
            return Known::Expired(why);
        }
        let session = Session { stamps: moment.met(old.stamps), class: Class::Established, ..old };
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

    pub(crate) fn tie(&mut self, fingerprint: Fingerprint, server: ServerIndex, budget: Budget, now: UnixSeconds) -> Tied {
        let moment = self.moment(now);
        self.feed.fetch();
        if let Some((place, old)) = self.locate(fingerprint) {
            if moment.lives(&old) {
                return self.confirm(place, fingerprint, old, server, moment);
            }
            self.vacate(place, old);
        }
        let stamps = Stamps { issued: now, seen: now };
        let entry = Entry { fingerprint, session: Session { server, stamps, class: Class::of(budget) } };
        if let Some(neighbour) = self.settle(&entry, Worth::ByClass, moment) {
            self.feed.record(ChangeKind::Refreshed, neighbour);
        }
        self.tally.created += 1;
        self.feed.record(ChangeKind::Created, entry);
        Tied::Created
    }

    pub(crate) fn forget(&mut self, fingerprint: Fingerprint, now: UnixSeconds) -> Option<Session> {
        let (place, session) = self.locate(fingerprint)?;
        self.drop_entry(place, Entry { fingerprint, session });
        self.moment(now).lives(&session).then_some(session)
    }

    /// Puts an entry in, over what is known of its session.
    pub(crate) fn import(&mut self, entry: &Entry, now: UnixSeconds) {
        let moment = self.moment(now);
        let known = self.locate(entry.fingerprint);
        if let Some((place, old)) = known {
            self.vacate(place, old);
        }
        if !moment.lives(&entry.session) {
            if let Some((_, session)) = known.filter(|(_, session)| moment.lives(session)) {
                self.feed.record(ChangeKind::Forgotten, Entry { session, ..*entry });
            }
            return;
        }
        if let Some(neighbour) = self.settle(entry, Worth::Known, moment) {
            self.feed.record(ChangeKind::Refreshed, neighbour);
        }
        let kind = match known {
            None => ChangeKind::Created,
            Some((_, old)) if old.server == entry.session.server => ChangeKind::Refreshed,
            Some(_) => ChangeKind::Moved,
        };
        self.feed.record(kind, *entry);
    }

    /// Forgets the sessions of a server in these slots, and tells how many of them lived.
    pub(crate) fn forget_server(&mut self, server: ServerIndex, slots: Range<usize>, now: UnixSeconds) -> u64 {
        let mut live = 0;
        for place in slots.map(Place::index) {
            let entry = self.pages[place.page].entry(place.at);
            if let Some(entry) = entry.filter(|entry| entry.session.server == server) {
                self.drop_entry(place, entry);
                live += u64::from(self.moment(now).lives(&entry.session));
            }
        }
        live
    }

    /// The sessions that live in these slots, each with its slot.
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

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Goes on by another spec, in other memory if there is any; `counts` may be those it has.
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
                self.settle(&entry, Worth::Known, moment);
            }
            // Counted twice for a moment rather than not at all: else its server could seem to have none.
            counted.remove(&entry.session);
        }
    }

    fn moment(&self, now: UnixSeconds) -> Moment {
        Moment { lifetime: self.lifetime, now }
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
        // The first octet has chosen the shard.
        let [_, a, b, c, d, ..] = fingerprint.octets();
        let draw = u64::from(u32::from_be_bytes([a, b, c, d]));
        ((draw * self.pages.len() as u64) >> 32) as usize
    }

    fn confirm(&mut self, place: Place, name: Fingerprint, old: Session, server: ServerIndex, moment: Moment) -> Tied {
        if old.server == server {
            let session = Session { stamps: moment.met(old.stamps), ..old };
            if session != old {
                self.update(place, name, old, session);
            }
            return Tied::Kept;
        }
        let session = Session { server, stamps: Stamps { seen: moment.now, ..old.stamps }, ..old };
        self.pages[place.page].set(place.at, session);
        self.counts.exchange(&old, &session);
        self.tally.moved += 1;
        self.feed.record(ChangeKind::Moved, Entry { fingerprint: name, session });
        Tied::Moved { from: old.server }
    }

    fn update(&mut self, place: Place, fingerprint: Fingerprint, old: Session, session: Session) {
        self.pages[place.page].set(place.at, session);
        self.counts.restamp(session.server, old.stamps, session.stamps);
        self.feed.record(ChangeKind::Refreshed, Entry { fingerprint, session });
    }

    /// Puts a session in that is not there. Tells of the neighbour that has another place for it now, if one has.
    fn settle(&mut self, entry: &Entry, worth: Worth, moment: Moment) -> Option<Entry> {
        let page = self.page(entry.fingerprint);
        let (at, neighbour) = match self.pages[page].room(entry.fingerprint, moment) {
            Room::Free(at) => (at, None),
            Room::Taken(at, class) => self.make_room(page, entry.fingerprint, (at, class), worth, moment),
        };
        match self.pages[page].session(at) {
            Some(old) => self.counts.exchange(&old, &entry.session),
            None => self.counts.add(&entry.session),
        }
        self.pages[page].put(at, entry);
        neighbour
    }

    /// Lets a neighbour go to its other bucket, and tells of it. Where none can, and where the victim is first to go anyway, it
    /// goes.
    fn make_room(
        &mut self,
        page: usize,
        name: Fingerprint,
        victim: (At, Class),
        worth: Worth,
        moment: Moment,
    ) -> (At, Option<Entry>) {
        let (at, class) = victim;
        let seek = (class > Class::OverBudget || worth == Worth::Known) && self.vain.is_time();
        let Some((from, to)) = seek.then(|| self.pages[page].way_out(name, moment)).flatten() else {
            self.tally.evicted(class);
            return (at, None);
        };
        self.vain = Vain::default();
        if let Some(expired) = self.pages[page].session(to) {
            self.vacate(Place { page, at: to }, expired);
        }
        let neighbour = self.pages[page].entry(from);
        if let Some(neighbour) = &neighbour {
            self.pages[page].put(to, neighbour);
            self.pages[page].clear(from);
            self.tally.displaced += 1;
        }
        (from, neighbour)
    }

    fn drop_entry(&mut self, place: Place, entry: Entry) {
        self.vacate(place, entry.session);
        self.tally.forgotten += 1;
        self.feed.record(ChangeKind::Forgotten, entry);
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

impl Vain {
    /// Whether to look for room now: always at first, ever more rarely while that is in vain. So a table that is full loses
    /// little by trying, and one that is not loses nobody.
    fn is_time(&mut self) -> bool {
        self.since = self.since.saturating_add(1);
        if self.since < 1 << self.tries {
            return false;
        }
        *self = Self { tries: (self.tries + 1).min(RARELY), since: 0 };
        true
    }
}
