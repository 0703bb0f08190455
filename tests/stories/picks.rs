//! Picks for new sessions against naive models, which look at every server for every pick: whatever happens to servers and
//! slots, a pick is among the servers that accept new sessions, and the one that the balance demands.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use burdock::config::Config;
use burdock::session::load_factor::LoadFactor;
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use burdock::upstream::balance::Balance;
use burdock::upstream::health::Health;
use burdock::upstream::queue::{Slot, Ticket};
use burdock::upstream::server::Server;
use burdock::upstream::spec::{Admin, Tier, UpstreamSpec, Weight};
use burdock::upstream::{Attempts, Pick, Placement, Upstream};
use proptest::prelude::*;
use proptest::sample::Index;
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Now = Now {
    wall: UnixSeconds(1_800_000_000),
    subsec_millis: 0,
    uptime: Uptime(Duration::from_secs(60)),
    skipped: Skipped::NONE,
};

/// An upstream, and the requests in flight.
struct World {
    spec: UpstreamSpec,
    upstream: Upstream,
    held: Vec<Slot>,
    waiting: Vec<Ticket>,
    random: StdRng,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A new client with this key, for whom these servers have failed.
    New([u8; 1], Vec<Index>),
    /// A request of a session that is tied to a server.
    Tied(Index),
    /// A request of a session that is tied by the hash of this key, with a load factor.
    Home([u8; 1]),
    /// A new client waits if all servers are full. These servers have failed for it.
    Wait(Option<[u8; 1]>, Vec<Index>),
    /// A client that waits gives up.
    Leave(Index),
    /// A request ends.
    End(Index),
    Health(Index, Health),
    Configure(Index, Settings),
    /// The next configuration is in use before requests of the last are told.
    Reload,
}

#[derive(Clone, Debug)]
struct Settings {
    weight: u16,
    max_conns: u32,
    admin: Admin,
    tier: Tier,
}

fn any_step() -> impl Strategy<Value = Step> {
    let health = prop_oneof![2 => Just(Health::Up), 1 => Just(Health::Down), 1 => Just(Health::Unchecked)];
    prop_oneof![
        8 => (any::<[u8; 1]>(), prop::collection::vec(any::<Index>(), 0..2)).prop_map(|(key, tried)| Step::New(key, tried)),
        3 => any::<Index>().prop_map(Step::Tied),
        2 => any::<[u8; 1]>().prop_map(Step::Home),
        2 => (any::<Option<[u8; 1]>>(), prop::collection::vec(any::<Index>(), 0..2)).prop_map(|(key, tried)| Step::Wait(key, tried)),
        1 => any::<Index>().prop_map(Step::Leave),
        4 => any::<Index>().prop_map(Step::End),
        2 => (any::<Index>(), health).prop_map(|(at, health)| Step::Health(at, health)),
        2 => (any::<Index>(), any_settings()).prop_map(|(at, settings)| Step::Configure(at, settings)),
        1 => Just(Step::Reload),
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let admin = prop_oneof![4 => Just(Admin::Ready), 1 => Just(Admin::DRAIN), 1 => Just(Admin::Maint)];
    let tier = prop_oneof![3 => Just(Tier::Primary), 1 => Just(Tier::Backup)];
    (0u16..5, 0u32..5, admin, tier).prop_map(|(weight, max_conns, admin, tier)| Settings { weight, max_conns, admin, tier })
}

impl World {
    fn new(servers: &[Settings], balance: Balance) -> Self {
        let listed: Vec<String> =
            (0..servers.len()).map(|n| format!("{{id: s{n}, address: '10.0.0.1:{}'}}", n + 1)).collect();
        let text = format!(
            "listeners: ['127.0.0.1:8080']\nupstreams:\n  shop:\n    servers: [{}]\n    sticky: []\n",
            listed.join(", ")
        );
        let mut spec = Config::parse("test", &text).unwrap().plan.upstreams.remove(0).upstream;
        spec.balance = balance;
        spec.queue.new_sessions = Some(Duration::from_secs(9));
        spec.queue.length = 2;
        for (at, settings) in servers.iter().enumerate() {
            apply(&mut spec, at, settings);
        }
        let upstream = Upstream::new(spec.clone(), None, NOW);
        Self { spec, upstream, held: Vec::new(), waiting: Vec::new(), random: StdRng::seed_from_u64(5) }
    }

    fn takes(&mut self, step: &Step) {
        let servers = self.spec.servers.len();
        match step {
            Step::New(key, tried) => {
                let tried: Vec<usize> = tried.iter().map(|at| at.index(servers)).collect();
                let picked = self.picks(key, &tried);
                self.held.extend(picked.map(|pick| pick.slot));
            }
            Step::Tied(at) => {
                let tied = self.upstream.admit_tied(at.index(servers), &Attempts::default(), NOW);
                self.held.extend(tied.ok().map(|pick| pick.slot));
            }
            Step::Home(key) => self.goes_home(key),
            Step::Wait(key, tried) => {
                let tried: Vec<usize> = tried.iter().map(|at| at.index(servers)).collect();
                self.waits(key.as_ref().map(<[u8; 1]>::as_slice), &tried);
            }
            Step::Leave(_) if self.waiting.is_empty() => {}
            Step::Leave(at) => drop(self.waiting.swap_remove(at.index(self.waiting.len()))),
            Step::End(_) if self.held.is_empty() => {}
            Step::End(at) => drop(self.held.swap_remove(at.index(self.held.len()))),
            Step::Health(at, health) => {
                self.upstream.servers()[at.index(servers)].health_state().set(*health, NOW.uptime);
            }
            Step::Configure(at, settings) => {
                apply(&mut self.spec, at.index(servers), settings);
                self.reloads();
            }
            Step::Reload => self.reloads(),
        }
        self.admits();
    }

    /// Clients that waited and got a slot use it.
    fn admits(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut waiting, held) = (Vec::new(), &mut self.held);
        for mut ticket in self.waiting.drain(..) {
            match Pin::new(&mut ticket).poll(&mut context) {
                Poll::Ready(outcome) => held.extend(outcome.ok()),
                Poll::Pending => waiting.push(ticket),
            }
        }
        self.waiting = waiting;
    }

    fn goes_home(&mut self, key: &[u8]) {
        let Some(at) = self.upstream.home(key) else { return };
        let server = &self.upstream.servers()[at];
        let serving =
            || self.upstream.servers().iter().filter(|server| server.health() == Health::Up && server.weight() > 0);
        let total = serving().map(|server| u64::from(server.in_flight())).sum();
        let weights = serving().map(|server| u64::from(server.weight())).sum();
        let is_within = is_within(server, total, weights);
        let has_slot = self.upstream.admit_tied(at, &Attempts::default(), NOW).is_ok();
        let admitted = self.upstream.admit_home(at, Some(bound()), &Attempts::default(), NOW).ok();
        assert_eq!(admitted.is_some(), has_slot && is_within, "{at} with {total} in flight for {weights}");
        self.held.extend(admitted.map(|pick| pick.slot));
    }

    /// A client waits, compared with the model.
    fn waits(&mut self, key: Option<&[u8]>, tried: &[usize]) {
        if !self.usable(tried).is_empty() {
            return;
        }
        let mut attempts = Attempts::default();
        tried.iter().for_each(|&at| attempts.failed(at));
        let of = |tier| self.worth_waiting(tier, tried);
        let worth = Some(of(Tier::Primary)).filter(|primaries| !primaries.is_empty()).unwrap_or_else(|| of(Tier::Backup));
        let expected = match key {
            Some(key) => self.next_on_ring(key, &worth, None).into_iter().collect(),
            None => self.least_demand(&worth),
        };
        let placement = key.map_or(Placement::Balance(None), Placement::Ring);
        let queued = self.upstream.queue_new(placement, None, &attempts, NOW);
        let at = queued.as_ref().map(|queued| queued.at);
        assert_eq!(at.is_some(), !worth.is_empty(), "{at:?} of {worth:?}");
        assert!(at.is_none_or(|at| expected.contains(&at)), "{at:?} is not in {expected:?} of {worth:?}");
        self.waiting.extend(queued.map(|queued| queued.ticket));
    }

    fn worth_waiting(&self, tier: Tier, tried: &[usize]) -> Vec<usize> {
        let is_worth = |at: usize, server: &Server| {
            let spec = server.spec();
            let takes_new = spec.admin == Admin::Ready && server.weight() > 0 && server.health() == Health::Up;
            spec.tier == tier && takes_new && server.waiting() < self.spec.queue.length && !tried.contains(&at)
        };
        let servers = self.upstream.servers().iter().enumerate();
        servers.filter(|(at, server)| is_worth(*at, server)).map(|(at, _)| at).collect()
    }

    fn least_demand(&self, servers: &[usize]) -> Vec<usize> {
        self.least(servers, |server| server.in_flight() + server.waiting())
    }

    fn reloads(&mut self) {
        let next = Upstream::new(self.spec.clone(), Some(&self.upstream), NOW);
        let earlier = std::mem::replace(&mut self.upstream, next);
        let before = self.picks(&[7], &[]);
        earlier.superseded(Some(&self.upstream));
        self.upstream.in_force(NOW);
        self.held.extend(before.map(|pick| pick.slot));
    }

    /// A pick, compared with the model.
    fn picks(&mut self, key: &[u8], tried: &[usize]) -> Option<Pick> {
        let mut attempts = Attempts::default();
        tried.iter().for_each(|&at| attempts.failed(at));
        let usable = self.usable(tried);
        let allowed = self.allowed(key, &usable);
        let picked = self.upstream.place(Placement::Balance(Some(key)), &attempts, NOW, &mut self.random);
        let at = picked.as_ref().map(|pick| pick.at);
        assert_eq!(at.is_some(), !usable.is_empty(), "{at:?} of {usable:?}");
        assert!(at.is_none_or(|at| allowed.contains(&at)), "{at:?} is not in {allowed:?} of {usable:?}");
        picked
    }

    /// The primaries that accept new sessions, or the backups if no primary does.
    fn usable(&self, tried: &[usize]) -> Vec<usize> {
        let of = |tier| {
            let servers = self.upstream.servers().iter().enumerate();
            let usable =
                servers.filter(|(at, server)| server.spec().tier == tier && server.accepts_new() && !tried.contains(at));
            usable.map(|(at, _)| at).collect::<Vec<_>>()
        };
        Some(of(Tier::Primary)).filter(|primaries| !primaries.is_empty()).unwrap_or_else(|| of(Tier::Backup))
    }

    /// Those that the balance allows.
    fn allowed(&self, key: &[u8], usable: &[usize]) -> Vec<usize> {
        match self.spec.balance {
            Balance::RoundRobin | Balance::RandomTwo => usable.to_vec(),
            Balance::LeastConn => self.least_loaded(usable),
            Balance::First => usable.first().copied().into_iter().collect(),
            Balance::Hash(bound) => self.next_on_ring(key, usable, bound).into_iter().collect(),
        }
    }

    fn least_loaded(&self, usable: &[usize]) -> Vec<usize> {
        self.least(usable, Server::in_flight)
    }

    fn least(&self, usable: &[usize], requests: impl Fn(&Server) -> u32) -> Vec<usize> {
        let server = |at: usize| &self.upstream.servers()[at];
        let load = |at: usize, other: usize| u64::from(requests(server(at)) + 1) * u64::from(server(other).weight());
        let Some(&least) = usable.iter().min_by(|&&at, &&other| load(at, other).cmp(&load(other, at))) else {
            return Vec::new();
        };
        usable.iter().copied().filter(|&at| load(at, least) == load(least, at)).collect()
    }

    /// Where the ring of the usable servers alone sends the key: the ring of all sends it to the same.
    fn next_on_ring(&self, key: &[u8], usable: &[usize], bound: Option<LoadFactor>) -> Option<usize> {
        let servers = self.upstream.servers();
        let total: u64 = usable.iter().map(|&at| u64::from(servers[at].in_flight())).sum();
        let weights: u64 = usable.iter().map(|&at| u64::from(servers[at].weight())).sum();
        let within = |server: &Server| bound.is_none() || is_within(server, total, weights);
        let mut left = usable.to_vec();
        while !left.is_empty() {
            let only = |at: &usize| Arc::clone(&self.spec.servers[*at]);
            let spec = UpstreamSpec { servers: left.iter().map(only).collect(), ..self.spec.clone() };
            let next = left[Upstream::new(spec, None, NOW).home(key)?];
            if within(&servers[next]) {
                return Some(next);
            }
            left.retain(|&at| at != next);
        }
        usable.first().copied()
    }
}

/// The only load factor that the tests use.
fn bound() -> LoadFactor {
    LoadFactor::new(1.25).unwrap()
}

fn is_within(server: &Server, total: u64, weights: u64) -> bool {
    let room = ((total + 1) * u64::from(server.weight()) * 125).div_ceil(weights.max(1) * 100);
    u64::from(server.in_flight()) < room
}

fn apply(spec: &mut UpstreamSpec, at: usize, settings: &Settings) {
    let server = Arc::make_mut(&mut spec.servers[at]);
    server.weight = Weight::new(settings.weight).unwrap();
    server.max_conns = NonZeroU32::new(settings.max_conns);
    server.admin = settings.admin;
    server.tier = settings.tier;
}

fn plain(weight: u16) -> Settings {
    Settings { weight, max_conns: 0, admin: Admin::Ready, tier: Tier::Primary }
}

fn all_hold(balance: Balance, servers: &[Settings], steps: &[Step]) {
    let mut world = World::new(servers, balance);
    steps.iter().for_each(|step| world.takes(step));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn least_conn_gives_the_fewest_for_its_weight(
        servers in prop::collection::vec(any_settings(), 1..8), steps in prop::collection::vec(any_step(), 1..80)
    ) {
        all_hold(Balance::LeastConn, &servers, &steps);
    }

    #[test]
    fn round_robin_first_and_random_two_give_usable_servers(
        servers in prop::collection::vec(any_settings(), 1..8), steps in prop::collection::vec(any_step(), 1..80)
    ) {
        for balance in [Balance::RoundRobin, Balance::First, Balance::RandomTwo] {
            all_hold(balance, &servers, &steps);
        }
    }

    #[test]
    fn round_robin_gives_each_its_share_in_every_window(
        servers in prop::collection::vec(any_settings(), 1..8),
        steps in prop::collection::vec(any_step(), 0..40),
        tried in 0..8usize,
    ) {
        let mut world = World::new(&servers, Balance::RoundRobin);
        steps.iter().for_each(|step| world.takes(step));
        world.held.clear();
        let usable = world.usable(&[tried]);
        let weight = |at: usize| world.upstream.servers()[at].weight() as usize;
        let total: usize = usable.iter().map(|&at| weight(at)).sum();
        let weights: Vec<usize> = (0..servers.len()).map(weight).collect();
        let picked: Vec<usize> = (0..total * 3).map(|_| world.picks(&[0], &[tried]).unwrap().at).collect();
        for window in picked.windows(total.max(1)) {
            for &at in &usable {
                let count = window.iter().filter(|&&other| other == at).count();
                prop_assert!(count.abs_diff(weights[at]) <= 1, "server {} in {:?}", at, window);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn least_conn_gives_the_fewest_of_many(steps in prop::collection::vec(any_step(), 1..200)) {
        all_hold(Balance::LeastConn, &vec![plain(1); 150], &steps);
    }

    #[test]
    fn a_hash_gives_the_next_on_the_ring_that_may_take_it(
        servers in prop::collection::vec(any_settings(), 1..6), steps in prop::collection::vec(any_step(), 1..40)
    ) {
        for bound in [None, Some(bound())] {
            all_hold(Balance::Hash(bound), &servers, &steps);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_hash_finds_the_few_with_room_among_many(
        room in prop::collection::vec(any::<Index>(), 0..6), steps in prop::collection::vec(any_step(), 1..40)
    ) {
        // So many that the ring knows the places of each server.
        let servers = vec![Settings { max_conns: 1, ..plain(1) }; 30];
        for bound in [None, Some(bound())] {
            let mut world = World::new(&servers, Balance::Hash(bound));
            let held = (0..30).map(|at| world.upstream.admit_tied(at, &Attempts::default(), NOW).unwrap().slot);
            world.held = held.collect();
            room.iter().for_each(|at| world.takes(&Step::End(*at)));
            steps.iter().for_each(|step| world.takes(step));
        }
    }
}

#[test]
fn new_sessions_wait_while_hundreds_of_servers_are_full() {
    let mut world = World::new(&vec![Settings { max_conns: 1, ..plain(1) }; 600], Balance::RoundRobin);
    for _ in 0..600 {
        let picked = world.picks(&[0], &[]);
        world.held.push(picked.unwrap().slot);
    }
    assert!(world.picks(&[0], &[]).is_none());
    for _ in 0..20 {
        world.waits(None, &[3]);
        world.waits(Some(&[1]), &[]);
    }
    assert_eq!(world.waiting.len(), 40);
}
