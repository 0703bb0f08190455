//! Where a request without a tie goes, and where it waits if all servers are full.

use rand_core::Rng;

use super::attempts::Attempts;
use super::balance::Balance;
use super::candidates::Group;
use super::load::Load;
use super::queue::Slot;
use super::queue::rank::Rank;
use super::server::Server;
use super::spec::Tier;
use super::turns::{All, Notes, Turn};
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

/// The points of a ring that are looked at before it is asked whether any server is usable.
const NEAR: usize = 1_024;

const TIERS: [Tier; 2] = [Tier::Primary, Tier::Backup];

impl Upstream {
    /// Takes a slot at a certain server for a new session, if the server accepts new ones.
    pub fn admit_new(&self, at: usize, attempts: &Attempts, now: Now) -> Option<Pick> {
        let server = &self.servers()[at];
        let among = self.candidates(now.uptime).of(server.spec().tier).among;
        let usable = is_among(server, among) && !self.given_up(at, attempts);
        usable.then(|| server.admit_new()).flatten().map(|slot| Pick { at, slot, among })
    }

    /// Chooses a server for a request without a tie and takes a slot there: a primary, or a backup if no primary
    /// accepts new sessions. None if no server does.
    pub fn place(&self, placement: Placement<'_>, attempts: &Attempts, now: Now, random: &mut impl Rng) -> Option<Pick> {
        let request = PlaceRequest { placement, attempts, now: now.uptime };
        let candidates = self.candidates(now.uptime);
        let mut groups = TIERS.into_iter().map(|tier| (tier, candidates.of(tier)));
        let placed = groups.find_map(|(tier, group)| {
            let in_use = group.among == Among::Up || group.up.iter().any(|&at| self.servers()[at].accepts_new());
            in_use.then(|| self.place_in(tier, group, &request, random)).flatten()
        });
        placed.or_else(|| {
            self.spec().panic_threshold?;
            let choice = self.choice(Notes::DoNotCome, now.uptime);
            TIERS.into_iter().find_map(|tier| match candidates.of(tier) {
                // Their turns go on.
                ready if ready.among == Among::Ready => self.place_in(tier, ready, &request, random),
                _ => self.place_in(tier, &choice.ready(tier), &request, random),
            })
        })
    }

    fn place_in(&self, tier: Tier, group: &Group, request: &PlaceRequest<'_>, random: &mut impl Rng) -> Option<Pick> {
        let usable = |at: usize| is_among(&self.servers()[at], group.among) && !self.given_up(at, request.attempts);
        let (at, slot) = match (request.placement, self.spec().balance) {
            (Placement::Ring(name), _) => self.along_ring(tier, group, name, None, usable),
            (Placement::Bounded(name, bound), _) => self.along_ring(tier, group, name, Some(bound), usable),
            (Placement::Balance(Some(key)), Balance::Hash(bound)) => self.along_ring(tier, group, key, bound, usable),
            (Placement::Balance(_), Balance::RandomTwo) => {
                self.random_two(group, request.now, random, usable).or_else(|| self.next_turn(tier, group, usable))
            }
            (Placement::Balance(_), Balance::RoundRobin | Balance::LeastConn | Balance::First | Balance::Hash(_)) => {
                self.next_turn(tier, group, usable)
            }
        }?;
        Some(Pick { at, slot, among: group.among })
    }

    fn next_turn(&self, tier: Tier, group: &Group, usable: impl Fn(usize) -> bool) -> Option<(usize, Slot)> {
        let all = All { servers: self.servers(), board: self.boards().of(tier) };
        loop {
            let turn = group.turns.lock().next(&all, |at| !usable(at));
            match turn {
                Turn::Picked(at, slot) => return Some((at, slot)),
                Turn::Nobody => return None,
                Turn::Again => {}
            }
        }
    }

    /// The less loaded of two different servers, both drawn by weight. None if nearly all are full.
    fn random_two(
        &self,
        group: &Group,
        now: Uptime,
        random: &mut impl Rng,
        usable: impl Fn(usize) -> bool,
    ) -> Option<(usize, Slot)> {
        let at = |nth: usize| group.members[nth];
        let first = group.drawn.draw(random, |nth| usable(at(nth)))?;
        let second = group.drawn.draw(random, |nth| nth != first && usable(at(nth)));
        let less_loaded = match second.map(at) {
            Some(second) if self.load(second, now) < self.load(at(first), now) => second,
            Some(_) | None => at(first),
        };
        // Another request may have taken the last slot; then the least loaded server is used.
        self.servers()[less_loaded].admit_new().map(|slot| (less_loaded, slot))
    }

    fn load(&self, at: usize, now: Uptime) -> Load {
        let server = &self.servers()[at];
        server.load(server.weight_at(self.spec().slow_start, now))
    }

    /// Takes a slot at the first usable server after `name` on the ring; with a bound, at the first that is not loaded above
    /// it.
    fn along_ring(
        &self,
        tier: Tier,
        group: &Group,
        name: &[u8],
        bound: Option<LoadFactor>,
        usable: impl Fn(usize) -> bool,
    ) -> Option<(usize, Slot)> {
        let take = |at: usize| self.servers()[at].admit_new().map(|slot| (at, slot));
        let within = self.within(group, bound, &usable);
        let fits = |at: &usize| usable(*at) && within(*at);
        let mut walk = self.ring(tier).walk(name);
        // The walk is long if no server fits, so whether one is usable at all is asked before its greater part.
        walk.by_ref().take(NEAR).filter(fits).find_map(take).or_else(|| {
            let mut usable = group.members.iter().copied().filter(|&at| usable(at)).peekable();
            usable.peek()?;
            walk.filter(fits).find_map(take).or_else(|| usable.find_map(take))
        })
    }

    /// Whether a server is not loaded above the bound, which is relative to all usable servers.
    fn within(&self, group: &Group, bound: Option<LoadFactor>, usable: impl Fn(usize) -> bool) -> impl Fn(usize) -> bool {
        let (mut total, mut weights) = (0, 0);
        let counted: &[usize] = if bound.is_some() { &group.members } else { &[] };
        for server in counted.iter().filter(|at| usable(**at)).map(|&at| &self.servers()[at]) {
            total += u64::from(server.in_flight());
            weights += u64::from(server.weight());
        }
        move |at| {
            let server = &self.servers()[at];
            bound.is_none_or(|bound| bound.admits(server.in_flight(), server.weight(), total, weights))
        }
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
            TIERS.into_iter().find_map(|tier| {
                let of_tier = |at: &usize| self.servers()[*at].spec().tier == tier && worth_waiting(at);
                self.wait_among((0..self.servers().len()).filter(of_tier).collect(), tier, placement, queue)
            })
        })
    }

    /// Waits at the first of these servers, in the order in which a request prefers to wait for them.
    fn wait_among(
        &self,
        mut servers: Vec<usize>,
        tier: Tier,
        placement: Placement<'_>,
        queue: impl Fn(usize) -> Option<Queued>,
    ) -> Option<Queued> {
        if let Placement::Ring(name) | Placement::Bounded(name, _) = placement {
            let mut walk = self.ring(tier).walk(name).filter(|at| servers.binary_search(at).is_ok());
            return if servers.is_empty() { None } else { walk.find_map(queue) };
        }
        while let Some(nth) = (0..servers.len()).min_by_key(|&nth| self.servers()[servers[nth]].demand()) {
            let queued = queue(servers.remove(nth));
            if queued.is_some() {
                return queued;
            }
        }
        None
    }
}

fn is_among(server: &Server, among: Among) -> bool {
    match among {
        Among::Up => server.accepts_new(),
        Among::Ready => server.accepts_new_ignoring_health(),
    }
}
