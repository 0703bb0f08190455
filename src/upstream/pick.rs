//! Where a request without a tie goes. [`super::ring_pick`] goes along the ring.

use rand_core::Rng;

use super::attempts::Attempts;
use super::balance::Balance;
use super::candidates::Group;
use super::load::Load;
use super::queue::Slot;
use super::server::Server;
use super::spec::Tier;
use super::turns::{All, Notes, Turn};
use super::upstream::{Among, Pick, Upstream};
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
pub(super) struct PlaceRequest<'a> {
    pub(super) placement: Placement<'a>,
    pub(super) attempts: &'a Attempts,
    pub(super) now: Uptime,
}

pub(super) const TIERS: [Tier; 2] = [Tier::Primary, Tier::Backup];

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
            (Placement::Ring(name), _) => self.along_ring((tier, group), name, None, request, usable),
            (Placement::Bounded(name, bound), _) => self.along_ring((tier, group), name, Some(bound), request, usable),
            (Placement::Balance(Some(key)), Balance::Hash(bound)) => {
                self.along_ring((tier, group), key, bound, request, usable)
            }
            (Placement::Balance(_), Balance::RandomTwo) => {
                self.random_two(group, request.now, random, usable).or_else(|| self.next_turn(tier, group, usable))
            }
            (Placement::Balance(_), Balance::RoundRobin | Balance::LeastConn | Balance::First | Balance::Hash(_)) => {
                self.next_turn(tier, group, usable)
            }
        }?;
        Some(Pick { at, slot, among: group.among })
    }

    pub(super) fn next_turn(&self, tier: Tier, group: &Group, usable: impl Fn(usize) -> bool) -> Option<(usize, Slot)> {
        let all = self.all(tier, group);
        loop {
            let turn = group.turns.lock().next(&all, |at| !usable(at));
            match turn {
                Turn::Picked(at, slot) => return Some((at, slot)),
                Turn::Nobody => return None,
                Turn::Again => {}
            }
        }
    }

    pub(super) fn all<'u>(&'u self, tier: Tier, group: &'u Group) -> All<'u> {
        All { servers: self.servers(), board: self.boards().of(tier), marks: &group.marks }
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
}

fn is_among(server: &Server, among: Among) -> bool {
    match among {
        Among::Up => server.accepts_new(),
        Among::Ready => server.accepts_new_ignoring_health(),
    }
}
