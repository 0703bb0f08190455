//! `balance` of an upstream.

use super::source::Sources;
use crate::config::schema::choice::choice;
use crate::config::schema::map::record;
use crate::session::load_factor::LoadFactor;
use crate::source::Source;
use crate::upstream::balance::Balance;

/// A balancing algorithm, with its hash key.
#[derive(Debug)]
pub(super) struct BalanceText {
    pub(super) balance: Balance,
    pub(super) key: Vec<Source>,
}

choice! {
    "a balancing algorithm" => BalanceText {
        /// Round robin by weight, evenly interleaved.
        round_robin => Self { balance: Balance::RoundRobin, key: Vec::new() },
        /// The server with the fewest requests in flight relative to its weight.
        least_conn => Self { balance: Balance::LeastConn, key: Vec::new() },
        /// The less loaded of two servers drawn at random.
        random_two => Self { balance: Balance::RandomTwo, key: Vec::new() },
        /// The first server that accepts it, in the order written.
        first => Self { balance: Balance::First, key: Vec::new() },
        /// Consistent hash of a key in the request.
        hash(HashText) => |hash: HashText| Self { balance: Balance::Hash(hash.load_factor), key: hash.key },
    }
}

record! {
    "hash" => struct HashText {
        /// The key: a source, or a list of which the first that is present counts.
        key: Sources,
        /// How far a server's load may exceed its fair share of requests in flight.
        load_factor: Option<LoadFactor>,
    }
}
