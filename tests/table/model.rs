//! The table against a model: a map that does the same without being dense, bounded or shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use burdock::session::claim::BadClaim;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::lifetime::Lifetime;
use burdock::session::stamps::Stamps;
use burdock::table::{
    Budget, Change, ChangeKind, Cursor, Delivery, Entry, EvictionClass, Filter, Known, Lost, ServerHandle, ServerIndex,
    Session, Subscription, Table, Tied,
};
use burdock::time::UnixSeconds;

use super::{Chance, START, fingerprint, register, spec, steps};

const NAMES: u64 = 3_000;
const SERVERS: usize = 5;

#[derive(Default)]
struct Model {
    lifetime: Lifetime,
    sessions: BTreeMap<Fingerprint, Session>,
}

impl Model {
    fn known(&self, name: Fingerprint, now: u32) -> Known {
        let Some(session) = self.sessions.get(&name) else { return Known::Unknown };
        self.check(session, now).map_or(Known::Session(*session), Known::Expired)
    }

    fn check(&self, session: &Session, now: u32) -> Option<BadClaim> {
        let since = |stamp: UnixSeconds| u64::from(now.saturating_sub(stamp.0));
        let Stamps { issued, seen } = session.stamps;
        if self.lifetime.life.is_some_and(|life| since(issued) >= u64::from(life)) {
            return Some(BadClaim::ExpiredLife);
        }
        let idle = self.lifetime.idle.is_some_and(|idle| since(seen) * 10 > u64::from(idle) * 11);
        idle.then_some(BadClaim::ExpiredIdle)
    }

    fn refresh(&mut self, name: Fingerprint, now: u32) {
        let Some(session) = self.sessions.get_mut(&name) else { return };
        let since = now.saturating_sub(session.stamps.seen.0);
        if self.lifetime.idle.is_some_and(|idle| since > 0 && u64::from(since) * 10 >= u64::from(idle)) {
            session.stamps.seen = UnixSeconds(now);
        }
    }

    fn look(&mut self, name: Fingerprint, now: u32) -> Known {
        if let Known::Session(_) = self.known(name, now) {
            self.refresh(name, now);
            self.sessions.entry(name).and_modify(|session| session.class = EvictionClass::Established);
        }
        self.known(name, now)
    }

    fn tie(&mut self, name: Fingerprint, server: ServerIndex, budget: Budget, now: u32) -> Tied {
        let Known::Session(old) = self.known(name, now) else {
            let stamps = Stamps { issued: UnixSeconds(now), seen: UnixSeconds(now) };
            let class = if budget == Budget::Over { EvictionClass::OverBudget } else { EvictionClass::New };
            self.sessions.insert(name, Session { server, stamps, class });
            return Tied::Created;
        };
        if old.server == server {
            self.refresh(name, now);
            return Tied::Kept;
        }
        let stamps = Stamps { seen: UnixSeconds(now), ..old.stamps };
        self.sessions.insert(name, Session { server, stamps, ..old });
        Tied::Moved { from: old.server }
    }

    fn forget(&mut self, name: Fingerprint, now: u32) -> Option<Session> {
        let known = self.known(name, now);
        self.sessions.remove(&name);
        if let Known::Session(session) = known { Some(session) } else { None }
    }

    fn live(&self, now: u32) -> BTreeMap<Fingerprint, Session> {
        let live = self.sessions.iter().filter(|(_, session)| self.check(session, now).is_none());
        live.map(|(name, session)| (*name, *session)).collect()
    }
}

/// How the clock runs.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Steady,
    /// It also jumps forward and backward.
    Steps,
}

/// The table and its model, and the copies of two subscribers: one from the beginning on, and one that comes and goes.
struct Pair {
    table: Arc<Table>,
    model: Model,
    servers: Vec<ServerHandle>,
    journal: Copied,
    passing: Option<Copied>,
    chance: Chance,
    clock: Clock,
    now: u32,
}

impl Pair {
    fn new(idle: Option<u32>, life: Option<u32>, clock: Clock) -> Self {
        // Large enough to evict no session, even if all expired ones stay.
        let table = Arc::new(Table::new(spec(25_600, idle, life)));
        let journal = Copied::begin(&table, START);
        let servers = (0..SERVERS).map(|server| register(&table, &format!("web-{server}"))).collect();
        let model = Model { lifetime: Lifetime { idle, life }, ..Model::default() };
        Self { table, model, servers, journal, passing: None, chance: Chance(1), clock, now: START }
    }

    fn step(&mut self) {
        let name = fingerprint(self.chance.below(NAMES));
        let (now, moment) = (self.now, UnixSeconds(self.now));
        match self.chance.below(1_000) {
            0..500 => assert_eq!(self.table.look(name, moment), self.model.look(name, now)),
            500..600 => assert_eq!(self.table.find(name, moment), self.model.known(name, now)),
            600..900 => {
                let server = &self.servers[self.chance.below(SERVERS as u64) as usize];
                let budget = if self.chance.below(3) == 0 { Budget::Over } else { Budget::Within };
                let tied = self.table.tie(name, server, budget, moment);
                assert_eq!(tied, self.model.tie(name, server.index(), budget, now));
            }
            900..950 => assert_eq!(self.table.forget(name, moment), self.model.forget(name, now)),
            950..990 => self.now += self.chance.below(20) as u32,
            990..993 => self.now += self.chance.below(2_000) as u32,
            993..996 if self.clock == Clock::Steps => self.now -= self.chance.below(2_000) as u32,
            996 => self.forget_server(),
            997 => self.compare_lists(),
            998 if self.clock == Clock::Steady => self.compare_counts(),
            // Expired sessions are not copied, and would live again after the clock steps back.
            999 if self.clock == Clock::Steady && self.chance.below(4) == 0 => self.come_or_go(),
            _ => self.compare_copies(),
        }
    }

    fn forget_server(&mut self) {
        let server = self.servers[self.chance.below(SERVERS as u64) as usize].index();
        let live = self.model.live(self.now).values().filter(|session| session.server == server).count();
        self.model.sessions.retain(|_, session| session.server != server);
        assert_eq!(self.table.forget_server(server, UnixSeconds(self.now)), live as u64);
    }

    fn compare_lists(&mut self) {
        let filter = Filter {
            server: (self.chance.below(2) == 0).then(|| self.servers[0].index()),
            older_than: (self.chance.below(2) == 0).then(|| self.chance.below(1_000) as u32),
            younger_than: (self.chance.below(2) == 0).then(|| self.chance.below(1_000) as u32),
            prefix: (self.chance.below(2) == 0).then(|| format!("{:x}", self.chance.below(300)).parse().unwrap()),
        };
        let limit = 1 + self.chance.below(700) as usize;
        let expected = self.model.live(self.now).into_iter().filter(|(name, session)| {
            let age = self.now.saturating_sub(session.stamps.issued.0);
            filter.server.is_none_or(|server| server == session.server)
                && filter.older_than.is_none_or(|least| age >= least)
                && filter.younger_than.is_none_or(|bound| age < bound)
                && filter.prefix.is_none_or(|prefix| name.starts_with(prefix))
        });
        let listed = list(&self.table, &filter, limit, self.now);
        assert_eq!(listed, expected.collect());
    }

    /// Counts are exact to a tenth of the idle time: between the sessions live now and those that would be live if seen a tenth later.
    fn compare_counts(&self) {
        let Some(unit) = self.model.lifetime.idle.or(self.model.lifetime.life).map(|time| (time / 10).max(1)) else {
            return;
        };
        for server in &self.servers {
            let of = |now| {
                let idle_only = Model {
                    lifetime: if self.model.lifetime.idle.is_some() {
                        Lifetime { life: None, ..self.model.lifetime }
                    } else {
                        self.model.lifetime
                    },
                    sessions: self.model.sessions.clone(),
                };
                idle_only.live(now).values().filter(|session| session.server == server.index()).count() as u64
            };
            let counted = self.table.count(server.index(), UnixSeconds(self.now));
            let (least, most) = (of(self.now), of(self.now - unit));
            assert!((least..=most).contains(&counted), "{least} <= {counted} <= {most} at {}", self.now);
        }
    }

    /// A subscriber that applies every change to its copy of the table has every live session.
    fn compare_copies(&mut self) {
        let live = self.model.live(self.now);
        for copied in std::iter::once(&mut self.journal).chain(&mut self.passing) {
            copied.catch_up();
            let known = Model { lifetime: self.model.lifetime, sessions: copied.sessions.clone() };
            assert_eq!(known.live(self.now), live);
        }
    }

    fn come_or_go(&mut self) {
        self.passing = match self.passing.take() {
            Some(_) => None,
            None => Some(Copied::begin(&self.table, self.now)),
        };
    }
}

/// A subscriber's copy of the table.
struct Copied {
    feed: Subscription,
    sessions: BTreeMap<Fingerprint, Session>,
}

impl Copied {
    fn begin(table: &Arc<Table>, now: u32) -> Self {
        let feed = Subscription::new(table, Delivery::Afterwards);
        let (mut entries, mut next) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = next {
            next = table.export(cursor, UnixSeconds(now), &mut entries);
        }
        let sessions = entries.into_iter().map(|entry| (entry.fingerprint, entry.session)).collect();
        Self { feed, sessions }
    }

    fn catch_up(&mut self) {
        let (mut changes, round) = (Vec::new(), self.feed.begin());
        for shard in 0..self.feed.table().shards() {
            assert_eq!(self.feed.drain(shard, &mut changes), Lost::default());
        }
        self.feed.complete(round);
        for Change { kind, entry, .. } in changes {
            match kind {
                ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed | ChangeKind::Offered => {
                    self.sessions.insert(entry.fingerprint, entry.session);
                }
                ChangeKind::Forgotten => _ = self.sessions.remove(&entry.fingerprint),
            }
        }
    }
}

fn list(table: &Table, filter: &Filter, limit: usize, now: u32) -> BTreeMap<Fingerprint, Session> {
    let mut found = BTreeMap::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = table.list(filter, cursor, limit, UnixSeconds(now));
        assert!(page.entries.len() <= limit);
        for Entry { fingerprint, session } in page.entries {
            assert_eq!(found.insert(fingerprint, session), None, "listed twice");
        }
        next = page.next;
    }
    found
}

fn run(idle: Option<u32>, life: Option<u32>, clock: Clock) {
    let mut pair = Pair::new(idle, life, clock);
    for step in 0..steps(2_000_000) {
        pair.step();
        // Journals hold a bounded number of changes.
        if step % 2_000 == 0 {
            pair.compare_copies();
        }
    }
    assert_eq!(pair.table.stats().evicted, [0; 3]);
    assert!(pair.table.stats().moved > 100 && pair.table.stats().forgotten > 100);
}

fn both_clocks(idle: Option<u32>, life: Option<u32>) {
    run(idle, life, Clock::Steady);
    run(idle, life, Clock::Steps);
}

#[test]
fn a_table_matches_its_model_with_idle_time_and_life() {
    both_clocks(Some(600), Some(3_000));
}

#[test]
fn a_table_matches_its_model_with_idle_time() {
    both_clocks(Some(1_800), None);
}

#[test]
fn a_table_matches_its_model_with_times_of_seconds() {
    both_clocks(Some(7), Some(60));
}

#[test]
fn a_table_matches_its_model_with_life() {
    both_clocks(None, Some(900));
}

#[test]
fn a_table_matches_its_model_without_limits() {
    both_clocks(None, None);
}
