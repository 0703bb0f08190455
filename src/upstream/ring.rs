//! The consistent-hash ring of an upstream: Pingora's Ketama over the servers' ids.
//!
//! Ketama hashes addresses. Each server gets a stand-in IPv6 address made from a hash of its id, so that servers on
//! Unix sockets work too and a change of address moves no session.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};

use aws_lc_rs::digest::{SHA256, digest};
use pingora_ketama::{Bucket, Continuum};

use super::server::Server;
use super::spec::Tier;
use super::weight::gcd;
use crate::ids::ServerId;

/// Twice the usual number of points: with 160 points, one server in a few thousand has a share that is more than 30 %
/// off.
const POINTS_FACTOR: u32 = 2;

/// Up to this sum of weights, which takes 5 MB, each unit of weight has its own points.
const MAX_UNITS: u32 = 2_048;

/// The ring of one tier.
pub(super) struct Ring {
    continuum: Continuum,
    /// The servers' positions, from the first point to the last.
    points: Box<[u32]>,
}

impl Ring {
    /// Builds the ring of those `servers` that belong to it. Each unit of weight costs 320 points, so this is not for
    /// the hot path.
    pub(super) fn build(servers: &[Server], tier: Tier) -> Self {
        let members: Vec<(usize, &Server)> = servers.iter().enumerate().filter(|(_, server)| server.on_ring(tier)).collect();
        let divisor = divisor(&members);
        let weight = |server: &Server| server.weight() / divisor * POINTS_FACTOR;
        let buckets: Vec<Bucket> =
            members.iter().map(|(_, server)| Bucket::new(stand_in(server.id()), weight(server))).collect();
        let continuum = Continuum::new(&buckets);
        let servers: HashMap<SocketAddr, usize, rustc_hash::FxBuildHasher> =
            members.iter().map(|&(at, server)| (stand_in(server.id()), at)).collect();
        let points = addresses(&continuum).filter_map(|address| servers.get(address)).map(|&at| at as u32).collect();
        Self { continuum, points }
    }

    /// The positions of the servers that follow `name` on the ring, once around, with repetitions.
    pub(super) fn walk(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let (before, after) = self.points.split_at_checked(self.continuum.node_idx(name)).unwrap_or_default();
        after.iter().chain(before).map(|&at| at as usize)
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("points", &self.points.len()).finish_non_exhaustive()
    }
}

/// The addresses of all points, in order.
fn addresses(continuum: &Continuum) -> impl Iterator<Item = &SocketAddr> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let mut point = next?;
        let address = continuum.get_addr(&mut point);
        // After the last comes the first.
        next = Some(point).filter(|&point| point > 0);
        address
    })
}

/// A server's points depend only on its own weight, so that adding or removing a server moves no names between others.
/// Only if the weights are too large are they divided by their greatest common divisor.
fn divisor(members: &[(usize, &Server)]) -> u32 {
    let weights = || members.iter().map(|(_, server)| server.weight());
    if weights().sum::<u32>() <= MAX_UNITS { 1 } else { weights().fold(0, gcd).max(1) }
}

fn stand_in(id: &ServerId) -> SocketAddr {
    let hash = digest(&SHA256, id.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    SocketAddr::new(Ipv6Addr::from(bytes).into(), 0)
}
