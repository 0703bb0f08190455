//! How many sessions live on each server, without a walk and without a timer for each: sessions are counted by server and by
//! the tenth of the idle time in which they were last seen, and those of tenths that are over are left out of the sum.

use super::entry::{ServerIndex, Session};
use crate::lock::{Mutex, RwLock};
use crate::session::lifetime::Lifetime;
use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

/// Tenths kept apart for one server: a dozen hold what lives, the others what waits to be overwritten, or what was stamped by
/// a clock that was set back since. Only a clock that is set back by hours and more than once makes counts less exact.
const APART: usize = 32;

/// The counts of one table.
#[derive(Debug)]
pub(crate) struct Counts {
    pace: Pace,
    servers: RwLock<Vec<Mutex<Tenths>>>,
}

/// What a table's time is cut into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// Tenths of the idle time, of this many seconds.
    Idle { tenth: u32, idle: u32 },
    /// Where only the life is limited, tenths of it, from creation on.
    Life { tenth: u32, life: u32 },
    /// Sessions do not end by themselves.
    Endless,
}

/// One server's sessions by tenth, the oldest first, none empty. The first stands for what is older as well.
#[derive(Debug, Default)]
struct Tenths(Vec<(u32, u32)>);

impl Counts {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, servers: RwLock::default() }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Makes room for a server, which must be done before sessions of it are counted.
    pub(crate) fn enlist(&self, server: ServerIndex) {
        let mut servers = self.servers.write();
        if servers.len() <= server.get() {
            servers.resize_with(server.get() + 1, Mutex::default);
        }
    }

    pub(crate) fn add(&self, session: &Session) {
        let tenth = self.pace.tenth(session.stamps);
        self.with(session.server, |tenths| tenths.add(tenth));
    }

    pub(crate) fn remove(&self, session: &Session) {
        let tenth = self.pace.tenth(session.stamps);
        self.with(session.server, |tenths| tenths.remove(tenth));
    }

    /// A session has taken another's place.
    pub(crate) fn exchange(&self, old: &Session, new: &Session) {
        let (gone, come) = (self.pace.tenth(old.stamps), self.pace.tenth(new.stamps));
        if (old.server, gone) == (new.server, come) {
            return;
        }
        let servers = self.servers.read();
        if let Some(tenths) = servers.get(new.server.get()) {
            tenths.lock().add(come);
        }
        if let Some(tenths) = servers.get(old.server.get()) {
            tenths.lock().remove(gone);
        }
    }

    /// A session has new stamps.
    pub(crate) fn restamp(&self, server: ServerIndex, old: Stamps, new: Stamps) {
        let (old, new) = (self.pace.tenth(old), self.pace.tenth(new));
        if old != new {
            self.with(server, |tenths| {
                tenths.remove(old);
                tenths.add(new);
            });
        }
    }

    /// Sessions whose idle time has not run out, but for those last seen within one tenth of its end.
    pub(crate) fn live(&self, server: ServerIndex, now: UnixSeconds) -> u64 {
        let oldest = self.pace.oldest(now);
        self.read(server, |tenths| tenths.0.iter().filter(|(tenth, _)| *tenth >= oldest).map(|(_, n)| u64::from(*n)).sum())
    }

    /// All entries that name this server, expired ones too.
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

impl Pace {
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

    /// The first tenth in which a session may have been stamped and live now.
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
        if self.0.len() > APART {
            let (_, oldest) = self.0.remove(0);
            self.0[0].1 += oldest;
        }
    }

    /// Sessions that were merged into a later tenth are taken from that one, so that the sum is always right.
    fn remove(&mut self, tenth: u32) {
        let at = self.at(tenth).min(self.0.len().saturating_sub(1));
        if let Some((_, n)) = self.0.get_mut(at) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Where this tenth is or would be.
    fn at(&self, tenth: u32) -> usize {
        self.0.partition_point(|(found, _)| *found < tenth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::entry::Class;
    use proptest::prelude::*;

    fn session(seen: u32) -> Session {
        let stamps = Stamps { issued: UnixSeconds(seen), seen: UnixSeconds(seen) };
        Session { server: ServerIndex(0), stamps, class: Class::New }
    }

    fn counts(lifetime: Lifetime) -> Counts {
        let counts = Counts::new(Pace::of(lifetime));
        counts.enlist(ServerIndex(0));
        counts
    }

    const SERVER: ServerIndex = ServerIndex(0);

    #[test]
    fn a_session_counts_until_its_idle_time_and_a_tenth_are_over() {
        let counts = counts(Lifetime { idle: Some(600), life: None });
        counts.add(&session(6_000));
        assert_eq!(counts.live(SERVER, UnixSeconds(6_660)), 1);
        assert_eq!(counts.live(SERVER, UnixSeconds(6_720)), 0, "a tenth later at most");
        assert_eq!(counts.live(SERVER, UnixSeconds(3_000)), 1, "a stamp in the future counts as now");
        assert_eq!(counts.entries(SERVER), 1);
    }

    #[test]
    fn where_only_life_is_limited_it_is_what_counts() {
        let counts = counts(Lifetime { idle: None, life: Some(600) });
        counts.add(&session(6_000));
        assert_eq!(counts.live(SERVER, UnixSeconds(6_599)), 1);
        assert_eq!(counts.live(SERVER, UnixSeconds(6_660)), 0);
    }

    #[test]
    fn sessions_without_limits_count_always() {
        let counts = counts(Lifetime::default());
        counts.add(&session(0));
        assert_eq!(counts.live(SERVER, UnixSeconds(u32::MAX)), 1);
    }

    #[test]
    fn a_server_that_nobody_enlisted_has_none() {
        assert_eq!(counts(Lifetime::default()).live(ServerIndex(9), UnixSeconds(0)), 0);
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_the_sum_is_right_and_short(steps in proptest::collection::vec((any::<bool>(), 0_u32..100, 0_usize..50), 0..300)) {
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
                prop_assert!(tenths.0.len() <= APART);
                prop_assert!(tenths.0.iter().all(|(_, n)| *n > 0) && tenths.0.is_sorted());
            }
        }

        #[test]
        fn within_thirty_two_tenths_each_is_right(steps in proptest::collection::vec((0_u32..32, any::<bool>()), 0..300)) {
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
