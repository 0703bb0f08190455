//! The usable part of a DNS answer for a name.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::upstream::spec::{Tier, Weight};
use crate::upstream::weight::gcd;

/// The addresses of servers, at least one. It does not depend on the order of the records.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "BTreeMap<SocketAddr, Rank>", into = "BTreeMap<SocketAddr, Rank>")]
pub struct Answer(BTreeMap<SocketAddr, Rank>);

/// An SRV record with one of its target's addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service {
    pub address: SocketAddr,
    /// Lower is better.
    pub priority: u16,
    pub weight: u16,
}

/// A stored answer without a usable address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected at least one usable address")]
pub struct NoAddress;

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Rank {
    priority: u16,
    weight: u16,
}

impl Answer {
    /// An answer from the addresses of a name. None if none of them is usable.
    pub fn of_hosts(port: NonZeroU16, addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let service = |ip| Service { address: SocketAddr::new(ip, port.get()), priority: 0, weight: 0 };
        Self::of_services(addresses.into_iter().map(service))
    }

    /// An answer from SRV records. An address that is listed twice gets its lower priority and the larger weight with
    /// it. None if no address is usable.
    pub fn of_services(services: impl IntoIterator<Item = Service>) -> Option<Self> {
        let mut found: BTreeMap<SocketAddr, Rank> = BTreeMap::new();
        for Service { address, priority, weight } in services {
            // Without this, one server could have two ids.
            let ip = address.ip().to_canonical();
            if ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
                continue;
            }
            let rank = found.entry(SocketAddr::new(ip, address.port())).or_insert(Rank { priority, weight });
            *rank = (*rank).better(Rank { priority, weight });
        }
        (!found.is_empty()).then_some(Self(found))
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.keys().copied()
    }

    /// Each address with its tier and weight. Those with the lowest priority are primaries, all others are backups.
    /// Weights are proportional within a tier.
    pub(super) fn tiers_and_weights(&self) -> Vec<(SocketAddr, Tier, Weight)> {
        let best = self.0.values().map(|rank| rank.priority).min().unwrap_or_default();
        let tier = |rank: &Rank| if rank.priority == best { Tier::Primary } else { Tier::Backup };
        let scale = |of: Tier| Scale::of(self.0.values().filter(|rank| tier(rank) == of).map(|rank| rank.weight));
        let (primary, backup) = (scale(Tier::Primary), scale(Tier::Backup));
        let weighted = |(&address, rank): (&SocketAddr, &Rank)| match tier(rank) {
            Tier::Primary => (address, Tier::Primary, primary.weight(rank.weight)),
            Tier::Backup => (address, Tier::Backup, backup.weight(rank.weight)),
        };
        self.0.iter().map(weighted).collect()
    }
}

impl TryFrom<BTreeMap<SocketAddr, Rank>> for Answer {
    type Error = NoAddress;

    fn try_from(kept: BTreeMap<SocketAddr, Rank>) -> Result<Self, NoAddress> {
        let service = |(address, Rank { priority, weight })| Service { address, priority, weight };
        Self::of_services(kept.into_iter().map(service)).ok_or(NoAddress)
    }
}

impl From<Answer> for BTreeMap<SocketAddr, Rank> {
    fn from(answer: Answer) -> Self {
        answer.0
    }
}

impl Rank {
    fn better(self, other: Self) -> Self {
        if (other.priority, u16::MAX - other.weight) < (self.priority, u16::MAX - self.weight) { other } else { self }
    }
}

/// Scales weights of 0 to 65,535 to weights of 1 to 256 in the same proportion. Their greatest common divisor is
/// divided out, so that equal weights (Kubernetes gives each of `n` servers 100 / n) do not change when servers come or
/// go.
#[derive(Clone, Copy, Debug)]
struct Scale {
    divisor: u32,
    largest: u32,
}

impl Scale {
    fn of(weights: impl Iterator<Item = u16> + Clone) -> Self {
        let weights = weights.map(|weight| u32::from(weight.max(1)));
        let divisor = weights.clone().fold(0, gcd).max(1);
        Self { divisor, largest: weights.max().unwrap_or(1) / divisor }
    }

    /// A weight of 0 becomes the lowest weight (RFC 2782).
    fn weight(self, weight: u16) -> Weight {
        let max = u32::from(Weight::MAX);
        let weight = u32::from(weight.max(1)) / self.divisor;
        let scaled = if self.largest <= max { weight } else { (weight * max + self.largest / 2) / self.largest };
        Weight::new(scaled.clamp(1, max) as u16).unwrap_or(Weight::ONE)
    }
}
