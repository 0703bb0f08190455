//! The servers that may get new sessions, in the form that picks need. They are found when the configuration or the health
//! of a server changes, and now and then during a slow start, not for each pick. Picks verify what may have changed since.

use std::time::Duration;

use crate::lock::Mutex;
use crate::time::Uptime;

use super::balance::{Balance, Drawn};
use super::board::Boards;
use super::health::Health;
use super::server::Server;
use super::spec::{Tier, UpstreamSpec};
use super::turns::{All, Notes, Order, Turns};
use super::upstream::Among;

/// The candidates of an upstream.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The epoch of the boards that they are from.
    epoch: u64,
    /// When effective weights have grown so much that they are out of date.
    until: Option<Uptime>,
    primary: Group,
    backup: Group,
}

/// The candidates of one tier.
#[derive(Debug)]
pub(super) struct Group {
    /// Which servers these are: all that are ready if too few are up.
    pub(super) among: Among,
    /// Their positions, in ascending order.
    pub(super) members: Box<[usize]>,
    /// Those that are up.
    pub(super) up: Box<[usize]>,
    pub(super) turns: Mutex<Turns>,
    /// For draws by weight.
    pub(super) drawn: Drawn,
}

/// What candidates are chosen from.
pub(super) struct Choice<'u> {
    pub(super) spec: &'u UpstreamSpec,
    pub(super) servers: &'u [Server],
    pub(super) boards: &'u Boards,
    pub(super) notes: Notes,
    /// Where the turns continue without earlier candidates.
    pub(super) start: TurnTimes,
    pub(super) now: Uptime,
}

/// Where the turns of each tier are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnTimes {
    primary: u64,
    backup: u64,
}

/// In a slow start, weights are out of date after this part of it, within limits.
const PART: u32 = 100;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

impl Candidates {
    /// The turns continue from `earlier`.
    pub(super) fn find(choice: &Choice<'_>, earlier: Option<&Self>) -> Self {
        // First, so that what changes meanwhile makes them out of date.
        let epoch = choice.boards.epoch();
        let group = |tier| choice.group(tier, earlier.map(|earlier| earlier.of(tier)));
        Self { epoch, until: choice.until(), primary: group(Tier::Primary), backup: group(Tier::Backup) }
    }

    pub(super) fn are_current(&self, boards: &Boards, now: Uptime) -> bool {
        self.epoch == boards.epoch() && self.until.is_none_or(|until| now < until)
    }

    /// Others get the notes from now on.
    pub(super) fn retire(&self) {
        for group in [&self.primary, &self.backup] {
            group.turns.lock().retire();
        }
    }

    pub(super) fn turn_times(&self) -> TurnTimes {
        TurnTimes { primary: self.primary.turns.lock().time(), backup: self.backup.turns.lock().time() }
    }

    pub(super) fn of(&self, tier: Tier) -> &Group {
        match tier {
            Tier::Primary => &self.primary,
            Tier::Backup => &self.backup,
        }
    }
}

impl Choice<'_> {
    fn group(&self, tier: Tier, earlier: Option<&Group>) -> Group {
        let ready: Vec<usize> = self.positions(|server| server.is_assignable() && server.spec().tier == tier);
        let up: Vec<usize> = ready.iter().copied().filter(|&at| self.servers[at].health() == Health::Up).collect();
        let panics = self.spec.panic_threshold.is_some_and(|threshold| threshold.exceeds(up.len(), ready.len()));
        let (among, members) = if panics { (Among::Ready, ready) } else { (Among::Up, up.clone()) };
        self.made_of(tier, (among, members), up, earlier)
    }

    /// The ready servers of a tier, whatever their health.
    pub(super) fn ready(&self, tier: Tier) -> Group {
        let ready = self.positions(|server| server.is_assignable() && server.spec().tier == tier);
        self.made_of(tier, (Among::Ready, ready), Vec::new(), None)
    }

    fn made_of(&self, tier: Tier, (among, members): (Among, Vec<usize>), up: Vec<usize>, earlier: Option<&Group>) -> Group {
        let weigh = |&at: &usize| (at, self.servers[at].weight_at(self.spec.slow_start, self.now));
        let weighted: Vec<(usize, u64)> = members.iter().map(weigh).collect();
        let order = match self.spec.balance {
            Balance::RoundRobin | Balance::Hash(_) => Order::InTurn,
            Balance::LeastConn | Balance::RandomTwo => Order::ByLoad,
            Balance::First => Order::AsListed,
        };
        let start = match tier {
            Tier::Primary => self.start.primary,
            Tier::Backup => self.start.backup,
        };
        let time = earlier.map_or(start, |earlier| earlier.turns.lock().retire());
        let all = All { servers: self.servers, board: self.boards.of(tier) };
        let turns = Mutex::new(Turns::new(order, self.notes, &weighted, time, &all));
        let drawn = Drawn::new(weighted.iter().map(|&(_, weight)| weight));
        Group { among, members: members.into(), up: up.into(), turns, drawn }
    }

    fn positions(&self, are: impl Fn(&Server) -> bool) -> Vec<usize> {
        self.servers.iter().enumerate().filter(|(_, server)| are(server)).map(|(at, _)| at).collect()
    }

    fn until(&self) -> Option<Uptime> {
        let over = self.spec.slow_start?;
        let starts = |server: &Server| server.health_state().up_since().is_some_and(|since| self.now.since(since) < over);
        let starting = self.servers.iter().any(starts);
        starting.then(|| self.now.plus((over / PART).clamp(SHORTEST, LONGEST)))
    }
}
