//! Limits how many sessions a client's network may create before further ones are evicted first. It counts per network in a
//! sketch of fixed size: a count is never too low, and may be too high if many networks create many sessions at once.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::{Ipv4Net, Ipv6Net};

use super::entry::Budget;
use crate::session::fingerprint::Fingerprint;
use crate::session::fingerprint_key::FingerprintKey;
use crate::time::UnixSeconds;

const ROWS: usize = 4;
const COLUMNS: usize = 4096;

/// Counts created sessions per network: /24 of IPv4, /48 of IPv6. 128 KiB.
///
/// The window slides: the previous window's count is weighted by how much of it still overlaps.
#[derive(Debug)]
pub struct CreationBudget {
    spec: BudgetSpec,
    window: u32,
    current: Box<Sketch>,
    previous: Box<Sketch>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetSpec {
    /// Sessions that a network may create per window.
    pub creations: NonZeroU32,
    /// Seconds.
    pub window: NonZeroU32,
}

/// A count-min sketch: a network's count is the smallest of its fields.
#[derive(Debug)]
struct Sketch([[u32; COLUMNS]; ROWS]);

/// A network's field in each row.
type Fields = [usize; ROWS];

impl CreationBudget {
    pub fn new(spec: BudgetSpec) -> Self {
        Self { spec, window: 0, current: Sketch::empty(), previous: Sketch::empty() }
    }

    /// Counts one session created by this client, and returns whether its network is within its budget.
    ///
    /// The key prevents clients from finding networks that share another network's fields.
    pub fn spend(&mut self, key: &FingerprintKey, client: IpAddr, now: UnixSeconds) -> Budget {
        self.slide(now);
        let fields = fields(network(key, client));
        self.current.add(fields);
        let window = u64::from(self.spec.window.get());
        let left = window - u64::from(now.0) % window;
        let overlapping = u64::from(self.previous.count(fields)) * left / window;
        let spent = u64::from(self.current.count(fields)) + overlapping;
        if spent > u64::from(self.spec.creations.get()) { Budget::Over } else { Budget::Within }
    }

    /// If the clock is set back, counting restarts.
    fn slide(&mut self, now: UnixSeconds) {
        let window = now.0 / self.spec.window;
        if window == self.window {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.clear();
        if self.window.checked_add(1) != Some(window) {
            self.previous.clear();
        }
        self.window = window;
    }
}

impl Sketch {
    fn empty() -> Box<Self> {
        Box::new(Self([[0; COLUMNS]; ROWS]))
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(|row| row.fill(0));
    }

    fn count(&self, fields: Fields) -> u32 {
        self.0.iter().zip(fields).map(|(row, field)| row[field]).min().unwrap_or(0)
    }

    /// Only the smallest fields grow, which keeps the counts of other networks low.
    fn add(&mut self, fields: Fields) {
        let count = self.count(fields).saturating_add(1);
        for (row, field) in self.0.iter_mut().zip(fields) {
            row[field] = row[field].max(count);
        }
    }
}

/// The fingerprint of a client's network. An IPv4-mapped IPv6 address counts as the IPv4 address.
fn network(key: &FingerprintKey, client: IpAddr) -> Fingerprint {
    let mut label = *b"network\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let bytes = match client.to_canonical() {
        IpAddr::V4(address) => {
            label[7] = 4;
            Ipv4Net::new(address, 24).map_or(address, |net| net.network()).to_ipv6_mapped().octets()
        }
        IpAddr::V6(address) => {
            label[7] = 6;
            Ipv6Net::new(address, 48).map_or(address, |net| net.network()).octets()
        }
    };
    label[8..].copy_from_slice(&bytes);
    key.fingerprint(&label)
}

fn fields(network: Fingerprint) -> Fields {
    let bytes = network.bytes();
    std::array::from_fn(|row| usize::from(u16::from_be_bytes([bytes[2 * row], bytes[2 * row + 1]])) % COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> FingerprintKey {
        FingerprintKey::parse(&"5a".repeat(32)).unwrap()
    }

    fn budget(creations: u32, window: u32) -> CreationBudget {
        let (creations, window) = (NonZeroU32::new(creations).unwrap(), NonZeroU32::new(window).unwrap());
        CreationBudget::new(BudgetSpec { creations, window })
    }

    fn spend(budget: &mut CreationBudget, client: &str, at: u32) -> Budget {
        budget.spend(&key(), client.parse().unwrap(), UnixSeconds(at))
    }

    #[test]
    fn a_network_may_create_a_limited_number_of_sessions_per_window() {
        let mut budget = budget(3, 60);
        for host in 1..=3 {
            assert_eq!(spend(&mut budget, &format!("192.0.2.{host}"), 600), Budget::Within);
        }
        assert_eq!(spend(&mut budget, "192.0.2.200", 600), Budget::Over);
        assert_eq!(spend(&mut budget, "::ffff:192.0.2.7", 600), Budget::Over, "the same network, as an IPv4-mapped address");
        assert_eq!(spend(&mut budget, "192.0.3.1", 600), Budget::Within);
    }

    #[test]
    fn an_ipv6_network_is_a_48_bit_prefix() {
        let mut budget = budget(1, 60);
        assert_eq!(spend(&mut budget, "2001:db8:1:2::3", 0), Budget::Within);
        assert_eq!(spend(&mut budget, "2001:db8:1:ffff::9", 0), Budget::Over);
        assert_eq!(spend(&mut budget, "2001:db8:2::3", 0), Budget::Within);
    }

    #[test]
    fn the_budget_window_slides() {
        let mut budget = budget(10, 60);
        for _ in 0..10 {
            assert_eq!(spend(&mut budget, "192.0.2.1", 119), Budget::Within);
        }
        assert_eq!(spend(&mut budget, "192.0.2.1", 120), Budget::Over, "the whole previous window still counts");
        assert_eq!(spend(&mut budget, "192.0.2.1", 150), Budget::Within, "half of it");
        assert_eq!(spend(&mut budget, "192.0.2.1", 240), Budget::Within, "nothing of it");
    }

    #[test]
    fn a_clock_set_back_restarts_the_budget() {
        let mut budget = budget(1, 60);
        assert_eq!(spend(&mut budget, "192.0.2.1", 6_000), Budget::Within);
        assert_eq!(spend(&mut budget, "192.0.2.1", 60), Budget::Within);
        assert_eq!(spend(&mut budget, "192.0.2.1", 61), Budget::Over);
    }

    #[test]
    fn ten_thousand_networks_with_one_session_each_are_within_budget() {
        let mut budget = budget(20, 60);
        for n in 0..10_000_u32 {
            let client = IpAddr::from((0x0a00_0001 + (n << 8)).to_be_bytes());
            assert_eq!(budget.spend(&key(), client, UnixSeconds(0)), Budget::Within);
        }
    }
}
