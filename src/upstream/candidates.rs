//! The servers that may get new sessions, in the form that picks need. They are found when the configuration or the health
//! of a server changes, and now and then during a slow start, not for each pick. Picks verify what may have changed since.

use std::sync::Arc;
use std::time::Duration;

use crate::lock::Mutex;
use crate::time::Uptime;

use super::balance::{Balance, Drawn};
use super::board::Boards;
use super::health::Health;
use super::marks::Marks;
use super::server::Server;
use super::spec::{Tier, UpstreamSpec};
use super::totals::{Share, Totals};
use super::turns::{All, Notes, Order, Rules, Turns};
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
    pub(super) marks: Marks,
    /// For draws by weight.
    pub(super) drawn: Drawn,
    /// The sums of the upstream, if they are of these candidates.
    pub(super) totals: Option<Arc<Totals>>,
}

/// What candidates are chosen from.
pub(super) struct Choice<'u> {
    pub(super) spec: &'u UpstreamSpec,
    pub(super) servers: &'u [Server],
    pub(super) boards: &'u Boards,
    pub(super) notes: Notes,
    /// The sums, if they are kept.
    pub(super) totals: Option<&'u Arc<Totals>>,
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
        let found = Self { epoch, until: choice.until(), primary: group(Tier::Primary), backup: group(Tier::Backup) };
        if choice.notes == Notes::Come {
            choice.count(&found);
        }
        found
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
        let marks = Marks::new(self.servers.len());
        let all = All { servers: self.servers, board: self.boards.of(tier), marks: &marks };
        let queue = self.spec.queue.new_sessions.map(|_| self.spec.queue.length);
        let rules = Rules { order, notes: self.notes, queue };
        let turns = Mutex::new(Turns::new(rules, &weighted, time, &all));
        let drawn = Drawn::new(weighted.iter().map(|&(_, weight)| weight));
        let totals = self.totals.map(Arc::clone);
        Group { among, members: members.into(), up: up.into(), turns, marks, drawn, totals }
    }

    /// From now on, the sums are of these candidates.
    fn count(&self, found: &Candidates) {
        for (at, server) in self.servers.iter().enumerate() {
            let members = &found.of(server.spec().tier).members;
            server.queue().counts_as(self.totals.map_or(Share::NONE, |_| share(at, server, members)));
        }
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

/// How the server at this position counts if these are the candidates of its tier.
fn share(at: usize, server: &Server, members: &[usize]) -> Share {
    let weight = server.weight();
    let serves = server.health() == Health::Up && weight > 0;
    let share = if serves { Share::NONE.serving(weight) } else { Share::NONE };
    match members.binary_search(&at) {
        Ok(_) => share.candidate(server.spec().tier, weight, server.limit_for_new()),
        Err(_) => share,
    }
}
