//! The consistent-hash ring of an upstream: Pingora's ketama over the servers' ids.
//!
//! Ketama hashes addresses. Each server enters under a stand-in IPv6 address made from a hash of its id, so servers on Unix
//! sockets have their place and a change of address moves no session.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};

use aws_lc_rs::digest::{SHA256, digest};
use pingora_ketama::{Bucket, Continuum, DEFAULT_POINT_MULTIPLE};

use super::server::Server;
use super::spec::Tier;
use super::weight::gcd;
use crate::ids::ServerId;

/// Twice the usual number of points: with 160 of them the share of one server in a few thousand is more than 30 % off.
const FINENESS: u32 = 2;

/// The weights, summed, up to which each unit has points of its own: 5 MB.
const MOST_UNITS: u32 = 2_048;

/// The ring of one tier.
pub(super) struct Ring {
    continuum: Continuum,
    servers: HashMap<SocketAddr, usize, rustc_hash::FxBuildHasher>,
    points: usize,
}

impl Ring {
    /// Puts those of `servers` that belong there on a ring. This costs 320 points for each unit of weight: not for the hot
    /// path.
    pub(super) fn build(servers: &[Server], tier: Tier) -> Self {
        let members: Vec<(usize, &Server)> = servers.iter().enumerate().filter(|(_, server)| server.on_ring(tier)).collect();
        let divisor = divisor(&members);
        let weight = |server: &Server| server.weight() / divisor * FINENESS;
        let buckets: Vec<Bucket> =
            members.iter().map(|(_, server)| Bucket::new(stand_in(server.id()), weight(server))).collect();
        let points = members.iter().map(|(_, server)| (weight(server) * DEFAULT_POINT_MULTIPLE) as usize).sum();
        let servers = members.iter().map(|&(at, server)| (stand_in(server.id()), at)).collect();
        Self { continuum: Continuum::new(&buckets), servers, points }
    }

    /// Positions of servers in the order in which they follow `name` on the ring, with repetitions, once around.
    pub(super) fn walk(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        self.continuum.node_iter(name).take(self.points).filter_map(|address| self.servers.get(address).copied())
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("points", &self.points).finish_non_exhaustive()
    }
}

/// A server's points depend on its own weight alone, so that a server that comes or goes moves no names between others. Only
/// where the weights are too large for that are they divided by what they have in common.
fn divisor(members: &[(usize, &Server)]) -> u32 {
    let weights = || members.iter().map(|(_, server)| server.weight());
    if weights().sum::<u32>() <= MOST_UNITS { 1 } else { weights().fold(0, gcd).max(1) }
}

fn stand_in(id: &ServerId) -> SocketAddr {
    let hash = digest(&SHA256, id.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    SocketAddr::new(Ipv6Addr::from(bytes).into(), 0)
}
