//! The algorithms that choose a server for a session without a tie. They see loads and weights; [`super::Upstream`]
//! decides which servers are usable.

use rand_core::Rng;

use crate::lock::Mutex;
use crate::session::load_factor::LoadFactor;

use super::load::Load;

/// How the server for a session without a tie is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// Smooth weighted round robin, as in nginx.
    #[default]
    RoundRobin,
    /// The server with the fewest requests in flight relative to its weight; round robin among equals.
    LeastConn,
    /// The less loaded of two servers drawn at random by weight.
    RandomTwo,
    /// The first usable server in the order of the configuration.
    First,
    /// Consistent hash of a key in the request; round robin for a request without the key. With a load factor no server
    /// exceeds that multiple of its fair share of requests in flight.
    Hash(Option<LoadFactor>),
}

/// The state of smooth weighted round robin between picks: a current weight for each server of the upstream.
#[derive(Debug)]
pub(super) struct RoundRobinState(Mutex<Box<[i64]>>);

impl RoundRobinState {
    pub(super) fn new(current: impl Iterator<Item = i64>) -> Self {
        Self(Mutex::new(current.collect()))
    }

    /// The current weights, in the order of the servers.
    pub(super) fn current(&self) -> Box<[i64]> {
        self.0.lock().clone()
    }

    /// The next of `among` (positions in the upstream): each one's current weight grows by its weight, and the largest
    /// is chosen and reduced by the total.
    pub(super) fn next(&self, among: &[usize], weight_of: impl Fn(usize) -> u64) -> Option<usize> {
        let mut current = self.0.lock();
        let mut total = 0;
        let mut largest: Option<usize> = None;
        for &at in among {
            let weight = weight_of(at) as i64;
            total += weight;
            current[at] += weight;
            if largest.is_none_or(|best| current[at] > current[best]) {
                largest = Some(at);
            }
        }
        if let Some(at) = largest {
            current[at] -= total;
        }
        largest
    }
}

/// The servers of `among` with the fewest requests in flight relative to their weight.
pub(super) fn least_loaded(among: &[usize], load: impl Fn(usize) -> Load) -> Vec<usize> {
    let mut least: Vec<usize> = Vec::new();
    for &at in among {
        match least.first().map(|&best| load(at).cmp(&load(best))) {
            Some(std::cmp::Ordering::Greater) => {}
            Some(std::cmp::Ordering::Equal) => least.push(at),
            Some(std::cmp::Ordering::Less) | None => least = vec![at],
        }
    }
    least
}

/// The less loaded of two different servers of `among`, both drawn by weight.
pub(super) fn random_two(
    among: &[usize],
    weight_of: impl Fn(usize) -> u64,
    load: impl Fn(usize) -> Load,
    random: &mut impl Rng,
) -> Option<usize> {
    let first = draw(among, &weight_of, None, random)?;
    let Some(second) = draw(among, &weight_of, Some(first), random) else {
        return Some(first);
    };
    Some(if load(second) < load(first) { second } else { first })
}

fn draw(among: &[usize], weight_of: impl Fn(usize) -> u64, except: Option<usize>, random: &mut impl Rng) -> Option<usize> {
    let eligible = || among.iter().copied().filter(|&at| Some(at) != except);
    let total: u64 = eligible().map(&weight_of).sum();
    if total == 0 {
        return None;
    }
    // The high half of a product is uniform to 1 part in 2^64 / total: Lemire's method without its rejection step.
    let mut left = ((u128::from(random.next_u64()) * u128::from(total)) >> 64) as u64;
    eligible().find(|&at| {
        let weight = weight_of(at);
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    })
}
