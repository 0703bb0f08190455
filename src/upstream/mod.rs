//! A named group of servers and how one is picked. It knows servers, loads and states; of cookies it knows nothing.

mod address;
pub mod balance;
pub mod failover;
pub mod health;
pub mod name;
pub mod retry;
mod ring;
pub mod server;
pub mod spec;
pub mod vitals;

use std::collections::HashMap;
use std::sync::Arc;

use rand_core::Rng;
use smallvec::SmallVec;

use crate::time::Now;
use balance::{Balance, LoadFactor, Turn};
use failover::Cause;
use health::Health;
pub use name::{InvalidName, ServerId, UpstreamName};
use ring::Ring;
use server::{Live, Server, Slot};
use spec::{ServerSpec, Tier, UpstreamSpec};
use vitals::Vitals;

/// An upstream as it is now. Its servers' positions are stable for as long as it lives; across configurations servers are
/// known by id.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    servers: Box<[Server]>,
    by_id: HashMap<ServerId, usize, rustc_hash::FxBuildHasher>,
    rings: Rings,
    turn: Turn,
}

/// A server chosen for a request, and the request's place there.
#[derive(Debug)]
pub struct Pick {
    /// Position in [`Upstream::servers`].
    pub at: usize,
    pub slot: Slot,
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

/// Tries made for one request, by server.
#[derive(Debug, Default)]
pub struct Tried(SmallVec<[(usize, u8); 2]>);

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
        Self { spec, servers, by_id, rings, turn }
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

    pub fn find(&self, id: &ServerId) -> Option<&Server> {
        self.position(id).map(|at| &self.servers[at])
    }

    /// Takes a place at the server that a session is tied to.
    ///
    /// # Errors
    /// The cause for which it cannot be served there now; a server given up for this request counts as down.
    pub fn admit_tied(&self, at: usize, tried: &Tried, now: Now) -> Result<Pick, Cause> {
        if self.given_up(at, tried) {
            return Err(Cause::Down);
        }
        self.servers[at].admit_tied(now).map(|slot| Pick { at, slot })
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
        let usable = self.servers[at].takes_new() && !self.given_up(at, tried);
        usable.then(|| self.servers[at].admit_new()).flatten().map(|slot| Pick { at, slot })
    }

    /// Chooses a server for a request that no tie decides, and takes a place there: a primary, or a backup when no primary
    /// may take new sessions. None when no server may.
    pub fn place(&self, placement: Placement<'_>, tried: &Tried, random: &mut impl Rng) -> Option<Pick> {
        [Tier::Primary, Tier::Backup].into_iter().find_map(|tier| self.place_in(tier, placement, tried, random))
    }

    fn place_in(&self, tier: Tier, placement: Placement<'_>, tried: &Tried, random: &mut impl Rng) -> Option<Pick> {
        let mut usable: SmallVec<[usize; 16]> = (0..self.servers.len())
            .filter(|&at| self.servers[at].spec().tier == tier && self.servers[at].takes_new() && !self.given_up(at, tried))
            .collect();
        // A place may be lost to another request between looking and taking; then the next best is asked.
        while !usable.is_empty() {
            let at = match placement {
                Placement::Ring(name) => self.along_ring(tier, name, &usable, None),
                Placement::Bounded(name, bound) => self.along_ring(tier, name, &usable, Some(bound)),
                Placement::Balance(key) => self.balanced(tier, key, &usable, random),
            }?;
            if let Some(slot) = self.servers[at].admit_new() {
                return Some(Pick { at, slot });
            }
            usable.retain(|&mut other| other != at);
        }
        None
    }

    fn balanced(&self, tier: Tier, key: Option<&[u8]>, usable: &[usize], random: &mut impl Rng) -> Option<usize> {
        match (self.spec.balance, key) {
            (Balance::Hash(bound), Some(key)) => self.along_ring(tier, key, usable, bound),
            (Balance::RoundRobin, _) | (Balance::Hash(_), None) => self.turn.next(&self.servers, usable),
            (Balance::LeastConn, _) => self.turn.next(&self.servers, &balance::least_loaded(&self.servers, usable)),
            (Balance::RandomTwo, _) => balance::random_two(&self.servers, usable, random),
            (Balance::First, _) => usable.first().copied(),
        }
    }

    /// The first usable server after `name`; with a bound, the first that is not above it.
    fn along_ring(&self, tier: Tier, name: &[u8], usable: &[usize], bound: Option<LoadFactor>) -> Option<usize> {
        let ring = match tier {
            Tier::Primary => &self.rings.primary,
            Tier::Backup => &self.rings.backup,
        };
        let total: u64 = usable.iter().map(|&at| u64::from(self.servers[at].in_flight())).sum();
        let weights: u64 = usable.iter().map(|&at| u64::from(self.servers[at].weight())).sum();
        let within = |at: &usize| {
            bound.is_none_or(|bound| {
                let server = &self.servers[*at];
                bound.admits(server.in_flight(), server.weight(), total, weights)
            })
        };
        ring.walk(name).find(|at| usable.binary_search(at).is_ok() && within(at)).or_else(|| usable.first().copied())
    }

    fn given_up(&self, at: usize, tried: &Tried) -> bool {
        tried.0.iter().any(|&(server, tries)| server == at && tries >= self.spec.retry.same_server)
    }
}

/// A server as the configuration describes it now, with what it lived through under an earlier one.
fn joined(server: &Arc<ServerSpec>, spec: &UpstreamSpec, earlier: Option<&Upstream>, now: Now) -> Server {
    let check = spec.health_check.as_ref();
    let before = earlier.and_then(|upstream| Some((upstream, upstream.find(&server.id)?)));
    let wished = before.map(|(_, before)| before.spec().admin);
    let (live, vitals) = match before {
        Some((upstream, before)) => {
            let had = upstream.spec.health_check.as_ref();
            (Arc::clone(before.live()), Vitals::after(before, had, server, check, now))
        }
        None => (Arc::new(Live::default()), Arc::new(Vitals::new(check))),
    };
    if wished != Some(server.admin) {
        live.wish_changed(now.uptime);
    }
    Server::new(Arc::clone(server), live, vitals)
}

impl Tried {
    /// Notes that a try at the server at this position failed.
    pub fn failed(&mut self, at: usize) {
        match self.0.iter_mut().find(|(server, _)| *server == at) {
            Some((_, tries)) => *tries = tries.saturating_add(1),
            None => self.0.push((at, 1)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
