//! A named group of servers and how one is picked. It knows servers, loads and states; of cookies it knows nothing.

mod address;
pub mod balance;
pub mod discovery;
pub mod failover;
pub mod health;
pub mod legacy;
pub mod name;
pub mod outlier;
pub mod queue;
pub mod retry;
mod ring;
pub mod server;
pub mod share;
pub mod spec;
pub mod vitals;

use std::collections::HashMap;
use std::sync::Arc;

use rand_core::Rng;
use smallvec::SmallVec;

use crate::lock::Mutex;
use crate::time::{Now, Uptime};
use balance::{Balance, LoadFactor, Turn};
use failover::Cause;
use health::{Condition, Health};
pub use name::{InvalidName, ServerId, UpstreamName};
use outlier::{Attempt, Ejection};
use queue::{Rank, Ticket};
use ring::Ring;
use server::{Live, Server, Slot};
use share::Share;
use spec::{Admin, ServerSpec, Tier, UpstreamSpec};
use vitals::{Origin, Vitals};

/// An upstream as it is now. Its servers' positions are stable for as long as it lives; across configurations servers are
/// known by id.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    servers: Box<[Server]>,
    by_id: HashMap<ServerId, usize, rustc_hash::FxBuildHasher>,
    rings: Rings,
    turn: Turn,
    /// Held while it is decided whether one more server may be ejected.
    ejecting: Arc<Mutex<()>>,
}

/// A server chosen for a request, and the request's place there.
#[derive(Debug)]
pub struct Pick {
    /// Position in [`Upstream::servers`].
    pub at: usize,
    pub slot: Slot,
    pub among: Among,
}

/// Which servers it was chosen from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Among {
    /// Those that are up.
    Up,
    /// All that are ready, since too few are up.
    Ready,
}

/// A server that a request waits for.
#[derive(Debug)]
pub struct Queued {
    /// Position in [`Upstream::servers`].
    pub at: usize,
    pub ticket: Ticket,
}

/// How a server is chosen for a request that no tie decides.
#[derive(Clone, Copy, Debug)]
pub enum Placement<'n> {
    /// The session has a name: the first usable server that follows it on the ring.
    Ring(&'n [u8]),
    /// As before, but the first that is not loaded above its share.
    Bounded(&'n [u8], LoadFactor),
    /// It has none: by the upstream's [`Balance`], with the hash key that the request carries, if any.
    Balance(Option<&'n [u8]>),
}

/// A request that is to be placed.
struct Asked<'a> {
    placement: Placement<'a>,
    tried: &'a Tried,
    now: Uptime,
}

/// What has come of earlier picks for one request, by server.
#[derive(Debug, Default)]
pub struct Tried {
    /// Tries that failed.
    failed: SmallVec<[(usize, u8); 2]>,
    /// Where it waited until the server took nobody any more, and why.
    sent_away: SmallVec<[(usize, Cause); 1]>,
}

#[derive(Debug)]
struct Rings {
    primary: Ring,
    backup: Ring,
}

impl Upstream {
    /// Makes an upstream from its description. The live state of servers that `earlier` has too is carried over.
    pub fn new(spec: UpstreamSpec, earlier: Option<&Self>, now: Now) -> Self {
        let servers: Box<[Server]> = spec.servers.iter().map(|server| joined(server, &spec, earlier, now)).collect();
        let by_id = servers.iter().enumerate().map(|(at, server)| (server.id().clone(), at)).collect();
        let rings = Rings { primary: Ring::build(&servers, Tier::Primary), backup: Ring::build(&servers, Tier::Backup) };
        let turn = Turn::new(servers.len());
        let ejecting = earlier.map_or_else(Arc::default, |upstream| Arc::clone(&upstream.ejecting));
        Self { spec, servers, by_id, rings, turn, ejecting }
    }

    pub fn name(&self) -> &UpstreamName {
        &self.spec.name
    }

    pub fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    pub fn position(&self, id: &ServerId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Whether these are its servers, all of them and no others, in whatever order. None is to be named twice.
    pub fn consists_of<'i>(&self, mut ids: impl ExactSizeIterator<Item = &'i ServerId>) -> bool {
        ids.len() == self.servers.len() && ids.all(|id| self.by_id.contains_key(id))
    }

    pub fn find(&self, id: &ServerId) -> Option<&Server> {
        self.position(id).map(|at| &self.servers[at])
    }

    /// Takes a place at the server that a session is tied to.
    ///
    /// # Errors
    /// The cause for which it cannot be served there now; a server given up for this request counts as down.
    pub fn admit_tied(&self, at: usize, tried: &Tried, now: Now) -> Result<Pick, Cause> {
        match tried.given_up(at, self.spec.retry.same_server) {
            Some(cause) => Err(cause),
            None => self.servers[at].admit_tied(now).map(|slot| Pick { at, slot, among: Among::Up }),
        }
    }

    /// Waits for a place at the full server that a session is tied to. None where too many wait already, where the server does
    /// not serve at all, or where it is full only by `bound`, for which there is no queue.
    pub fn queue_tied(&self, at: usize, bound: Option<LoadFactor>, tried: &Tried, now: Now) -> Option<Queued> {
        let server = &self.servers[at];
        let by_bound = bound.is_some() && server.has_room(Rank::Tied);
        if by_bound || self.given_up(at, tried) || server.serves_tied(now).is_err() {
            return None;
        }
        server.queue_up(Rank::Tied, self.spec.queue.length).map(|ticket| Queued { at, ticket })
    }

    /// The server whose place on the ring follows this name, whether or not it can serve now. None where no server is on it.
    pub fn home(&self, name: &[u8]) -> Option<usize> {
        let first = |ring: &Ring| ring.walk(name).next();
        first(&self.rings.primary).or_else(|| first(&self.rings.backup))
    }

    /// Takes a place at the server that a hashed session belongs to, which counts as full where it is loaded above `bound`.
    ///
    /// # Errors
    /// As for [`Self::admit_tied`].
    pub fn admit_home(&self, at: usize, bound: Option<LoadFactor>, tried: &Tried, now: Now) -> Result<Pick, Cause> {
        let pick = self.admit_tied(at, tried, now)?;
        let Some(bound) = bound else { return Ok(pick) };
        let serving = || self.servers.iter().filter(|server| server.health() == Health::Up && server.weight() > 0);
        // Its own place is taken already.
        let total: u64 = serving().map(|server| u64::from(server.in_flight())).sum::<u64>().saturating_sub(1);
        let weights: u64 = serving().map(|server| u64::from(server.weight())).sum();
        let before = self.servers[at].in_flight().saturating_sub(1);
        if bound.admits(before, self.servers[at].weight(), total, weights) { Ok(pick) } else { Err(Cause::Full) }
    }

    /// Takes a place at a certain server for a session that starts, if that may take new ones.
    pub fn admit_new(&self, at: usize, tried: &Tried) -> Option<Pick> {
        let server = &self.servers[at];
        let among = if self.panics(server.spec().tier) { Among::Ready } else { Among::Up };
        let usable = self.is_among(server, among) && !self.given_up(at, tried);
        usable.then(|| server.admit_new()).flatten().map(|slot| Pick { at, slot, among })
    }

    /// Chooses a server for a request that no tie decides, and takes a place there: a primary, or a backup when no primary
    /// may take new sessions. None when no server may.
    pub fn place(&self, placement: Placement<'_>, tried: &Tried, now: Now, random: &mut impl Rng) -> Option<Pick> {
        let asked = Asked { placement, tried, now: now.uptime };
        let tiers = [Tier::Primary, Tier::Backup];
        let in_use = |tier: &Tier| self.servers.iter().any(|server| server.spec().tier == *tier && server.takes_new());
        let among = |tier| if self.panics(tier) { Among::Ready } else { Among::Up };
        let placed = tiers.into_iter().filter(in_use).find_map(|tier| self.place_in(tier, among(tier), &asked, random));
        placed.or_else(|| {
            self.spec.panic_threshold?;
            tiers.into_iter().find_map(|tier| self.place_in(tier, Among::Ready, &asked, random))
        })
    }

    /// Whether so few of a tier's servers are up that their health no longer counts for new sessions.
    fn panics(&self, tier: Tier) -> bool {
        let Some(threshold) = self.spec.panic_threshold else { return false };
        let ready = || self.servers.iter().filter(|server| server.is_for_new() && server.spec().tier == tier);
        let up = ready().filter(|server| server.health() == Health::Up).count();
        threshold.exceeds(up, ready().count())
    }

    fn is_among(&self, server: &Server, among: Among) -> bool {
        match among {
            Among::Up => server.takes_new(),
            Among::Ready => server.takes_new_whatever_its_health(),
        }
    }

    fn place_in(&self, tier: Tier, among: Among, asked: &Asked<'_>, random: &mut impl Rng) -> Option<Pick> {
        let usable = |at: &usize| {
            let server = &self.servers[*at];
            server.spec().tier == tier && self.is_among(server, among) && !self.given_up(*at, asked.tried)
        };
        let mut usable: SmallVec<[usize; 16]> = (0..self.servers.len()).filter(usable).collect();
        // A place may be lost to another request between looking and taking; then the next best is asked.
        while !usable.is_empty() {
            let at = match asked.placement {
                Placement::Ring(name) => self.along_ring(tier, name, &usable, None),
                Placement::Bounded(name, bound) => self.along_ring(tier, name, &usable, Some(bound)),
                Placement::Balance(key) => self.balanced(tier, key, &usable, asked.now, random),
            }?;
            if let Some(slot) = self.servers[at].admit_new() {
                return Some(Pick { at, slot, among });
            }
            usable.retain(|&mut other| other != at);
        }
        None
    }

    /// Waits for a place for a request that no tie decides and that no server has room for: at `followed` if that is given,
    /// else at the first full server after its name, or where a nameless one has the least before it. None where there is
    /// nothing to wait for.
    pub fn queue_new(&self, placement: Placement<'_>, followed: Option<usize>, tried: &Tried) -> Option<Queued> {
        let length = self.spec.queue.length;
        let worth_it = |at: &usize| {
            let server = &self.servers[*at];
            server.would_take_new() && !self.given_up(*at, tried) && server.waiting() < length
        };
        let queue = |at: usize| self.servers[at].queue_up(Rank::New, length).map(|ticket| Queued { at, ticket });
        followed.filter(worth_it).and_then(queue).or_else(|| {
            [Tier::Primary, Tier::Backup].into_iter().find_map(|tier| {
                let of_tier = (0..self.servers.len()).filter(|&at| self.servers[at].spec().tier == tier);
                self.in_order(tier, placement, of_tier.filter(worth_it).collect()).into_iter().find_map(queue)
            })
        })
    }

    /// These servers of a tier, in the order in which a request would wait for them.
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
                servers.sort_by_key(|&at| self.servers[at].demand());
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
        let weigh = |at: usize| self.servers[at].weight_at(self.spec.slow_start, now);
        let load = |at: usize| self.servers[at].load(weigh(at));
        match (self.spec.balance, key) {
            (Balance::Hash(bound), Some(key)) => self.along_ring(tier, key, usable, bound),
            (Balance::RoundRobin, _) | (Balance::Hash(_), None) => self.turn.next(usable, weigh),
            (Balance::LeastConn, _) => self.turn.next(&balance::least_loaded(usable, load), weigh),
            (Balance::RandomTwo, _) => balance::random_two(usable, weigh, load, random),
            (Balance::First, _) => usable.first().copied(),
        }
    }

    /// Takes note of how an attempt at the server at this position ended. Some where that has ejected it.
    pub fn attempted(&self, at: usize, attempt: Attempt, now: Uptime) -> Option<Ejection> {
        let spec = self.spec.passive_health.as_ref()?;
        let vitals = self.servers[at].vitals();
        let sign = vitals.attempted(attempt, spec, now)?;
        let _one_at_a_time = self.ejecting.lock();
        if self.may_eject_one(spec.max_share) { vitals.eject(sign, spec, now) } else { None }
    }

    /// Whether one more server may be ejected, of those that are in use as far as operators and checks go.
    fn may_eject_one(&self, most: Share) -> bool {
        let in_use = self.servers.iter().filter(|server| server.spec().admin != Admin::Maint);
        let (mut ejected, mut all) = (0, 0);
        for condition in in_use.map(|server| server.vitals().condition()) {
            match condition {
                Condition::Unchecked | Condition::Down => {}
                Condition::Up => all += 1,
                Condition::Ejected => (ejected, all) = (ejected + 1, all + 1),
            }
        }
        ejected < most.of(all)
    }

    /// The first usable server after `name`; with a bound, the first that is not above it.
    fn along_ring(&self, tier: Tier, name: &[u8], usable: &[usize], bound: Option<LoadFactor>) -> Option<usize> {
        let total: u64 = usable.iter().map(|&at| u64::from(self.servers[at].in_flight())).sum();
        let weights: u64 = usable.iter().map(|&at| u64::from(self.servers[at].weight())).sum();
        let within = |at: &usize| {
            bound.is_none_or(|bound| {
                let server = &self.servers[*at];
                bound.admits(server.in_flight(), server.weight(), total, weights)
            })
        };
        self.ring(tier)
            .walk(name)
            .find(|at| usable.binary_search(at).is_ok() && within(at))
            .or_else(|| usable.first().copied())
    }

    fn ring(&self, tier: Tier) -> &Ring {
        match tier {
            Tier::Primary => &self.rings.primary,
            Tier::Backup => &self.rings.backup,
        }
    }

    fn given_up(&self, at: usize, tried: &Tried) -> bool {
        tried.given_up(at, self.spec.retry.same_server).is_some()
    }

    /// Another configuration is in force now, with `next` in the place of this, or with nothing: who waits at a server that is
    /// not there any more is sent to look elsewhere. To be called when that has been published.
    pub fn superseded(&self, next: Option<&Self>) {
        let stays = |server: &Server| {
            next.and_then(|next| next.find(server.id())).is_some_and(|same| Arc::ptr_eq(same.live(), server.live()))
        };
        self.servers.iter().filter(|server| !stays(server)).for_each(|server| server.live().queue.end());
    }

    /// This configuration is in force now: who waits at its servers is let in, or sent to look elsewhere, by what it says of
    /// them. To be called when it has been published.
    pub fn in_force(&self, now: Now) {
        self.servers.iter().for_each(|server| server.in_force(now));
    }
}

/// A server as the configuration describes it now, with what it lived through under an earlier one.
fn joined(server: &Arc<ServerSpec>, spec: &UpstreamSpec, earlier: Option<&Upstream>, now: Now) -> Server {
    let before = earlier.and_then(|upstream| Some((upstream, upstream.find(&server.id)?)));
    let wished = before.map(|(_, before)| before.spec().admin);
    let (live, vitals) = match before {
        Some((upstream, before)) => (Arc::clone(before.live()), Vitals::after(before, &upstream.spec, server, spec, now)),
        None => {
            let origin = if earlier.is_some() { Origin::Later } else { Origin::Start };
            let live = Arc::new(Live::default());
            let vitals = Arc::new(Vitals::new(spec, origin, &live, now));
            (live, vitals)
        }
    };
    if wished != Some(server.admin) {
        live.wish_changed(now.uptime);
    }
    Server::new(Arc::clone(server), live, vitals)
}

impl Tried {
    /// Notes that a try at the server at this position failed.
    pub fn failed(&mut self, at: usize) {
        match self.failed.iter_mut().find(|(server, _)| *server == at) {
            Some((_, tries)) => *tries = tries.saturating_add(1),
            None => self.failed.push((at, 1)),
        }
    }

    /// Notes that the request waited in vain for the server at this position, as that takes nobody any more.
    pub fn sent_away(&mut self, at: usize, cause: Cause) {
        self.sent_away.push((at, cause));
    }

    /// Whether no try has failed.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// Why the server at this position is not asked again, if so.
    fn given_up(&self, at: usize, same_server: u8) -> Option<Cause> {
        let away = self.sent_away.iter().find(|(server, _)| *server == at).map(|&(_, cause)| cause);
        let failed = self.failed.iter().any(|&(server, tries)| server == at && tries >= same_server);
        away.or_else(|| failed.then_some(Cause::Down))
    }
}
