//! Which of several servers gets a session that nothing ties: the algorithms. They see loads and weights, not why a server
//! may be used; [`super::Upstream`] says which may.

use rand_core::Rng;

use crate::lock::Mutex;
use crate::session::load_factor::LoadFactor;

use super::load::Load;

/// Where a session without a tie starts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// In turn by weight, evenly interleaved (nginx's smooth weighted round robin).
    #[default]
    RoundRobin,
    /// To the server with the fewest requests in flight for its weight; in turn among equals.
    LeastConn,
    /// To the less busy of two drawn at random by weight.
    RandomTwo,
    /// To the first in the order written that may take it.
    First,
    /// By consistent hash of something that the request carries; in turn where it carries nothing. With a load factor no
    /// server gets more than that multiple of its fair share of what is in flight.
    Hash(Option<LoadFactor>),
}

/// The turn that smooth weighted round robin keeps between picks: a current weight for each server of the upstream.
#[derive(Debug)]
pub(super) struct Turn(Mutex<Box<[i64]>>);

impl Turn {
    pub(super) fn new(servers: usize) -> Self {
        Self(Mutex::new(vec![0; servers].into()))
    }

    /// The next of `among` (positions in the upstream): each gains its weight, the richest is taken and pays for all.
    pub(super) fn next(&self, among: &[usize], weigh: impl Fn(usize) -> u64) -> Option<usize> {
        let mut current = self.0.lock();
        let mut total = 0;
        let mut richest: Option<usize> = None;
        for &at in among {
            let weight = weigh(at) as i64;
            total += weight;
            current[at] += weight;
            if richest.is_none_or(|best| current[at] > current[best]) {
                richest = Some(at);
            }
        }
        if let Some(at) = richest {
            current[at] -= total;
        }
        richest
    }
}

/// Those of `among` with the fewest requests in flight for their weight.
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

/// The less busy of two different ones of `among`, both drawn by weight.
pub(super) fn random_two(
    among: &[usize],
    weigh: impl Fn(usize) -> u64,
    load: impl Fn(usize) -> Load,
    random: &mut impl Rng,
) -> Option<usize> {
    let first = draw(among, &weigh, None, random)?;
    let Some(second) = draw(among, &weigh, Some(first), random) else {
        return Some(first);
    };
    Some(if load(second) < load(first) { second } else { first })
}

fn draw(among: &[usize], weigh: impl Fn(usize) -> u64, except: Option<usize>, random: &mut impl Rng) -> Option<usize> {
    let eligible = || among.iter().copied().filter(|&at| Some(at) != except);
    let total: u64 = eligible().map(&weigh).sum();
    if total == 0 {
        return None;
    }
    // The high half of a product is uniform to 1 part in 2^64 / total: Lemire's method without its rejection step.
    let mut left = ((u128::from(random.next_u64()) * u128::from(total)) >> 64) as u64;
    eligible().find(|&at| {
        let weight = weigh(at);
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    })
}
