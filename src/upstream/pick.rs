//! Where a request without a tie goes, and where it waits if all servers are full.

use rand_core::Rng;
use smallvec::SmallVec;

use super::attempts::Attempts;
use super::balance;
use super::balance::Balance;
use super::health::Health;
use super::queue::rank::Rank;
use super::server::Server;
use super::spec::Tier;
use super::upstream::{Among, Pick, Queued, Upstream};
use crate::session::load_factor::LoadFactor;
use crate::time::{Now, Uptime};

/// How a server is chosen for a request without a tie.
#[derive(Clone, Copy, Debug)]
pub enum Placement<'n> {
    /// The session has a name: the first usable server after it on the ring.
    Ring(&'n [u8]),
    /// The same, but the first that is not loaded above its share.
    Bounded(&'n [u8], LoadFactor),
    /// It has no name: by the upstream's [`Balance`], with the hash key in the request, if any.
    Balance(Option<&'n [u8]>),
}

/// A request to place on a server.
struct PlaceRequest<'a> {
    placement: Placement<'a>,
    attempts: &'a Attempts,
    now: Uptime,
}

impl Upstream {
    /// Takes a slot at a certain server for a new session, if the server accepts new ones.
    pub fn admit_new(&self, at: usize, attempts: &Attempts) -> Option<Pick> {
        let server = &self.servers()[at];
        let among = if self.panics(server.spec().tier) { Among::Ready } else { Among::Up };
        let usable = self.is_among(server, among) && !self.given_up(at, attempts);
        usable.then(|| server.admit_new()).flatten().map(|slot| Pick { at, slot, among })
    }

    /// Chooses a server for a request without a tie and takes a slot there: a primary, or a backup if no primary
    /// accepts new sessions. None if no server does.
    pub fn place(&self, placement: Placement<'_>, attempts: &Attempts, now: Now, random: &mut impl Rng) -> Option<Pick> {
        let request = PlaceRequest { placement, attempts, now: now.uptime };
        let tiers = [Tier::Primary, Tier::Backup];
        let in_use = |tier: &Tier| self.servers().iter().any(|server| server.spec().tier == *tier && server.accepts_new());
        let among = |tier| if self.panics(tier) { Among::Ready } else { Among::Up };
        let placed = tiers.into_iter().filter(in_use).find_map(|tier| self.place_in(tier, among(tier), &request, random));
        placed.or_else(|| {
            self.spec().panic_threshold?;
            tiers.into_iter().find_map(|tier| self.place_in(tier, Among::Ready, &request, random))
        })
    }

    /// Whether so few of a tier's servers are up that new sessions ignore health.
    fn panics(&self, tier: Tier) -> bool {
        let Some(threshold) = self.spec().panic_threshold else { return false };
        let ready = || self.servers().iter().filter(|server| server.is_assignable() && server.spec().tier == tier);
        let up = ready().filter(|server| server.health() == Health::Up).count();
        threshold.exceeds(up, ready().count())
    }

    fn is_among(&self, server: &Server, among: Among) -> bool {
        match among {
            Among::Up => server.accepts_new(),
            Among::Ready => server.accepts_new_ignoring_health(),
        }
    }

    fn place_in(&self, tier: Tier, among: Among, request: &PlaceRequest<'_>, random: &mut impl Rng) -> Option<Pick> {
        let usable = |at: &usize| {
            let server = &self.servers()[*at];
            server.spec().tier == tier && self.is_among(server, among) && !self.given_up(*at, request.attempts)
        };
        let mut usable: SmallVec<[usize; 16]> = (0..self.servers().len()).filter(usable).collect();
        // Another request may take the last slot in the meantime; then the next best server is tried.
        while !usable.is_empty() {
            let at = match request.placement {
                Placement::Ring(name) => self.along_ring(tier, name, &usable, None),
                Placement::Bounded(name, bound) => self.along_ring(tier, name, &usable, Some(bound)),
                Placement::Balance(key) => self.balanced(tier, key, &usable, request.now, random),
            }?;
            if let Some(slot) = self.servers()[at].admit_new() {
                return Some(Pick { at, slot, among });
            }
            usable.retain(|&mut other| other != at);
        }
        None
    }

    /// Queues a request without a tie when all servers are full: at `followed` if given, else at the first full server
    /// after the session's name, or for a session without a name at the server with the least demand. None if no server
    /// is worth waiting for.
    pub fn queue_new(&self, placement: Placement<'_>, followed: Option<usize>, attempts: &Attempts) -> Option<Queued> {
        let length = self.spec().queue.length;
        let worth_waiting = |at: &usize| {
            let server = &self.servers()[*at];
            server.would_accept_new() && !self.given_up(*at, attempts) && server.waiting() < length
        };
        let queue = |at: usize| self.servers()[at].queue_up(Rank::New, length).map(|ticket| Queued { at, ticket });
        followed.filter(worth_waiting).and_then(queue).or_else(|| {
            [Tier::Primary, Tier::Backup].into_iter().find_map(|tier| {
                let of_tier = (0..self.servers().len()).filter(|&at| self.servers()[at].spec().tier == tier);
                self.in_order(tier, placement, of_tier.filter(worth_waiting).collect()).into_iter().find_map(queue)
            })
        })
    }

    /// These servers of a tier, in the order in which a request prefers to wait for them.
    fn in_order(&self, tier: Tier, placement: Placement<'_>, mut servers: Vec<usize>) -> Vec<usize> {
        match placement {
            Placement::Ring(name) | Placement::Bounded(name, _) => {
                let mut ordered = Vec::with_capacity(servers.len());
                let mut walk = self.ring(tier).walk(name);
                while !servers.is_empty()
                    && let Some(at) = walk.next()
                {
                    ordered.extend(servers.iter().position(|&other| other == at).map(|nth| servers.swap_remove(nth)));
                }
                ordered
            }
            Placement::Balance(_) => {
                servers.sort_by_key(|&at| self.servers()[at].demand());
                servers
            }
        }
    }

    fn balanced(
        &self,
        tier: Tier,
        key: Option<&[u8]>,
        usable: &[usize],
        now: Uptime,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let weight_of = |at: usize| self.servers()[at].weight_at(self.spec().slow_start, now);
        let load = |at: usize| self.servers()[at].load(weight_of(at));
        match (self.spec().balance, key) {
            (Balance::Hash(bound), Some(key)) => self.along_ring(tier, key, usable, bound),
            (Balance::RoundRobin, _) | (Balance::Hash(_), None) => self.round_robin().next(usable, weight_of),
            (Balance::LeastConn, _) => self.round_robin().next(&balance::least_loaded(usable, load), weight_of),
            (Balance::RandomTwo, _) => balance::random_two(usable, weight_of, load, random),
            (Balance::First, _) => usable.first().copied(),
        }
    }

    /// The first usable server after `name` on the ring; with a bound, the first that is not loaded above it.
    fn along_ring(&self, tier: Tier, name: &[u8], usable: &[usize], bound: Option<LoadFactor>) -> Option<usize> {
        let total: u64 = usable.iter().map(|&at| u64::from(self.servers()[at].in_flight())).sum();
        let weights: u64 = usable.iter().map(|&at| u64::from(self.servers()[at].weight())).sum();
        let within = |at: &usize| {
            bound.is_none_or(|bound| {
                let server = &self.servers()[*at];
                bound.admits(server.in_flight(), server.weight(), total, weights)
            })
        };
        self.ring(tier)
            .walk(name)
            .find(|at| usable.binary_search(at).is_ok() && within(at))
            .or_else(|| usable.first().copied())
    }
}
