//! How a server is chosen for a session without a tie, and draws by weight. It does not know which servers are usable.

use rand_core::Rng;

use crate::session::load_factor::LoadFactor;

/// How the server for a session without a tie is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// Each server in turn by weight, evenly interleaved.
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

/// Members that can be drawn by weight.
#[derive(Debug)]
pub(super) struct Drawn {
    /// The sum of the weights up to each member.
    sums: Box<[u64]>,
}

/// How often an unsuitable member is drawn before the draw gives up.
const DRAWS: usize = 16;

impl Drawn {
    pub(super) fn new(weights: impl Iterator<Item = u64>) -> Self {
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// Draws a suitable member by weight. None if so few are suitable that none was found in a few draws.
    pub(super) fn draw(&self, random: &mut impl Rng, suits: impl Fn(usize) -> bool) -> Option<usize> {
        let total = *self.sums.last()?;
        (0..DRAWS).map(|_| self.draw_any(total, random)).find(|&nth| suits(nth))
    }

    fn draw_any(&self, total: u64, random: &mut impl Rng) -> usize {
        // The high half of a product is uniform to 1 part in 2^64 / total: Lemire's method without its rejection step.
        let drawn = ((u128::from(random.next_u64()) * u128::from(total)) >> 64) as u64;
        self.sums.partition_point(|&sum| sum <= drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn members_are_drawn_by_weight() {
        let (drawn, mut random) = (Drawn::new([3, 0, 1].into_iter()), StdRng::seed_from_u64(1));
        let mut counts = [0; 3];
        (0..4_000).for_each(|_| counts[drawn.draw(&mut random, |_| true).unwrap()] += 1);
        assert!(counts[0] > 2_900 && counts[1] == 0 && counts[2] > 900, "{counts:?}");
        assert_eq!(drawn.draw(&mut random, |_| false), None);
        assert_eq!(Drawn::new(std::iter::empty()).draw(&mut random, |_| true), None);
    }
}
