//! Counts the live sessions of each server, without walking the table and without a timer per session: sessions are counted by
//! server and by the tenth of the idle time in which they were last seen. Expired tenths are left out of the sum.

use super::entry::{ServerIndex, Session};
use crate::lock::{Mutex, RwLock};
use crate::session::lifetime::Lifetime;
use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

/// The most tenths that are counted separately for one server: a dozen hold live sessions, the others hold expired sessions not yet
/// overwritten and sessions stamped before the clock was set back. Counts become less exact only if the clock is set back by
/// hours more than once.
const MAX_TENTHS: usize = 32;

/// The counts of one table.
#[derive(Debug)]
pub(crate) struct Counts {
    period: Period,
    servers: RwLock<Vec<Mutex<Tenths>>>,
}

/// The periods by which a table counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Period {
    /// Tenths of the idle time, of this many seconds.
    Idle { tenth: u32, idle: u32 },
    /// If only the life is limited: tenths of the life, from creation on.
    Life { tenth: u32, life: u32 },
    /// Sessions do not expire.
    Endless,
}

/// One server's sessions by tenth, oldest first, without empty tenths. The first one also counts everything older.
#[derive(Debug, Default)]
struct Tenths(Vec<(u32, u32)>);

impl Counts {
    pub(crate) fn new(period: Period) -> Self {
        Self { period, servers: RwLock::default() }
    }

    pub(crate) fn period(&self) -> Period {
        self.period
    }

    /// Makes room for a server. This must happen before its sessions are counted.
    pub(crate) fn register(&self, server: ServerIndex) {
        let mut servers = self.servers.write();
        if servers.len() <= server.get() {
            servers.resize_with(server.get() + 1, Mutex::default);
        }
    }

    pub(crate) fn add(&self, session: &Session) {
        let tenth = self.period.tenth(session.stamps);
        self.with(session.server, |tenths| tenths.add(tenth));
    }

    pub(crate) fn remove(&self, session: &Session) {
        let tenth = self.period.tenth(session.stamps);
        self.with(session.server, |tenths| tenths.remove(tenth));
    }

    /// Replaces one session by another.
    pub(crate) fn exchange(&self, old: &Session, new: &Session) {
        let (removed, added) = (self.period.tenth(old.stamps), self.period.tenth(new.stamps));
        if (old.server, removed) == (new.server, added) {
            return;
        }
        let servers = self.servers.read();
        if let Some(tenths) = servers.get(new.server.get()) {
            tenths.lock().add(added);
        }
        if let Some(tenths) = servers.get(old.server.get()) {
            tenths.lock().remove(removed);
        }
    }

    /// Gives a session new stamps.
    pub(crate) fn restamp(&self, server: ServerIndex, old: Stamps, new: Stamps) {
        let (old, new) = (self.period.tenth(old), self.period.tenth(new));
        if old != new {
            self.with(server, |tenths| {
                tenths.remove(old);
                tenths.add(new);
            });
        }
    }

    /// Sessions within their idle time, exact to a tenth of it.
    pub(crate) fn live(&self, server: ServerIndex, now: UnixSeconds) -> u64 {
        let oldest = self.period.oldest(now);
        self.read(server, |tenths| tenths.0.iter().filter(|(tenth, _)| *tenth >= oldest).map(|(_, n)| u64::from(*n)).sum())
    }

    /// All entries that name this server, including expired ones.
    pub(crate) fn entries(&self, server: ServerIndex) -> u64 {
        self.read(server, |tenths| tenths.0.iter().map(|(_, n)| u64::from(*n)).sum())
    }

    fn read(&self, server: ServerIndex, read: impl FnOnce(&Tenths) -> u64) -> u64 {
        self.servers.read().get(server.get()).map_or(0, |tenths| read(&tenths.lock()))
    }

    fn with(&self, server: ServerIndex, act: impl FnOnce(&mut Tenths)) {
        if let Some(tenths) = self.servers.read().get(server.get()) {
            act(&mut tenths.lock());
        }
    }
}

impl Period {
    pub(crate) fn of(lifetime: Lifetime) -> Self {
        let tenth = |whole: u32| (whole / 10).max(1);
        match lifetime {
            Lifetime { idle: Some(idle), .. } => Self::Idle { tenth: tenth(idle), idle },
            Lifetime { idle: None, life: Some(life) } => Self::Life { tenth: tenth(life), life },
            Lifetime { idle: None, life: None } => Self::Endless,
        }
    }

    fn tenth(self, stamps: Stamps) -> u32 {
        match self {
            Self::Idle { tenth, .. } => stamps.seen.0 / tenth,
            Self::Life { tenth, .. } => stamps.issued.0 / tenth,
            Self::Endless => 0,
        }
    }

    /// The first tenth whose sessions may still be live.
    fn oldest(self, now: UnixSeconds) -> u32 {
        match self {
            Self::Idle { tenth, idle } => now.0.saturating_sub(idle.saturating_add(idle / 10)) / tenth,
            Self::Life { tenth, life } => now.0.saturating_add(1).saturating_sub(life) / tenth,
            Self::Endless => 0,
        }
    }
}

impl Tenths {
    fn add(&mut self, tenth: u32) {
        match self.0.last_mut() {
            Some((last, n)) if *last == tenth => *n += 1,
            Some(_) | None => self.add_elsewhere(tenth),
        }
    }

    fn add_elsewhere(&mut self, tenth: u32) {
        let at = self.at(tenth);
        match self.0.get_mut(at) {
            Some((found, n)) if *found == tenth => *n += 1,
            Some(_) | None => self.0.insert(at, (tenth, 1)),
        }
        if self.0.len() > MAX_TENTHS {
            let (_, oldest) = self.0.remove(0);
            self.0[0].1 += oldest;
        }
    }

    /// A session that was merged into a later tenth is removed from that one, so that the sum is always right.
    fn remove(&mut self, tenth: u32) {
        let at = self.at(tenth).min(self.0.len().saturating_sub(1));
        if let Some((_, n)) = self.0.get_mut(at) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The position where this tenth is or would be inserted.
    fn at(&self, tenth: u32) -> usize {
        self.0.partition_point(|(found, _)| *found < tenth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::entry::EvictionClass;
    use proptest::prelude::*;

    fn session(seen: u32) -> Session {
        let stamps = Stamps { issued: UnixSeconds(seen), seen: UnixSeconds(seen) };
        Session { server: ServerIndex(0), stamps, class: EvictionClass::New }
    }

    fn counts(lifetime: Lifetime) -> Counts {
        let counts = Counts::new(Period::of(lifetime));
        counts.register(ServerIndex(0));
        counts
    }

    const SERVER: ServerIndex = ServerIndex(0);

    #[test]
    fn a_session_counts_for_eleven_tenths_of_its_idle_time() {
        let counts = counts(Lifetime { idle: Some(600), life: None });
        counts.add(&session(6_000));
        assert_eq!(counts.live(SERVER, UnixSeconds(6_660)), 1);
        assert_eq!(counts.live(SERVER, UnixSeconds(6_720)), 0, "at most a tenth later");
        assert_eq!(counts.live(SERVER, UnixSeconds(3_000)), 1, "a stamp in the future counts as now");
        assert_eq!(counts.entries(SERVER), 1);
    }

    #[test]
    fn without_an_idle_time_the_life_decides() {
        let counts = counts(Lifetime { idle: None, life: Some(600) });
        counts.add(&session(6_000));
        assert_eq!(counts.live(SERVER, UnixSeconds(6_599)), 1);
        assert_eq!(counts.live(SERVER, UnixSeconds(6_660)), 0);
    }

    #[test]
    fn sessions_without_limits_always_count() {
        let counts = counts(Lifetime::default());
        counts.add(&session(0));
        assert_eq!(counts.live(SERVER, UnixSeconds(u32::MAX)), 1);
    }

    #[test]
    fn an_unregistered_server_has_no_sessions() {
        assert_eq!(counts(Lifetime::default()).live(ServerIndex(9), UnixSeconds(0)), 0);
    }

    proptest! {
        #[test]
        fn the_sum_is_right_with_a_bounded_number_of_tenths(steps in proptest::collection::vec((any::<bool>(), 0_u32..100, 0_usize..50), 0..300)) {
            let mut tenths = Tenths::default();
            let mut model: Vec<u32> = Vec::new();
            for (add, tenth, which) in steps {
                if add || model.is_empty() {
                    tenths.add(tenth);
                    model.push(tenth);
                } else {
                    let gone = model.swap_remove(which % model.len());
                    tenths.remove(gone);
                }
                prop_assert_eq!(tenths.0.iter().map(|(_, n)| *n as usize).sum::<usize>(), model.len());
                prop_assert!(tenths.0.len() <= MAX_TENTHS);
                prop_assert!(tenths.0.iter().all(|(_, n)| *n > 0) && tenths.0.is_sorted());
            }
        }

        #[test]
        fn up_to_thirty_two_tenths_are_exact(steps in proptest::collection::vec((0_u32..32, any::<bool>()), 0..300)) {
            let mut tenths = Tenths::default();
            let mut model = [0_u32; 32];
            for (tenth, add) in steps {
                let count = &mut model[tenth as usize];
                if add || *count == 0 {
                    tenths.add(tenth);
                    *count += 1;
                } else {
                    tenths.remove(tenth);
                    *count -= 1;
                }
            }
            let expected: Vec<(u32, u32)> = (0..).zip(model).filter(|(_, n)| *n > 0).collect();
            prop_assert_eq!(tenths.0, expected);
        }
    }
}
