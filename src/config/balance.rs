//! `balance` of an upstream.

use super::source::Sources;
use crate::config::schema::choice::choice;
use crate::config::schema::map::record;
use crate::session::load_factor::LoadFactor;
use crate::source::Source;
use crate::upstream::balance::Balance;

/// A way to balance, with what it hashes.
#[derive(Debug)]
pub(super) struct BalanceText {
    pub(super) balance: Balance,
    pub(super) key: Vec<Source>,
}

choice! {
    "a way to balance" => BalanceText {
        /// In turn by weight, evenly interleaved.
        round_robin => Self { balance: Balance::RoundRobin, key: Vec::new() },
        /// To the server with the fewest requests in flight for its weight.
        least_conn => Self { balance: Balance::LeastConn, key: Vec::new() },
        /// To the less busy of two drawn at random.
        random_two => Self { balance: Balance::RandomTwo, key: Vec::new() },
        /// To the first in the order written that may take it.
        first => Self { balance: Balance::First, key: Vec::new() },
        /// By consistent hash of something that the request carries.
        hash(HashText) => |hash: HashText| Self { balance: Balance::Hash(hash.load_factor), key: hash.key },
    }
}

record! {
    "hash" => struct HashText {
        /// What is hashed: a source, or a list of which the first that the request carries counts.
        key: Sources,
        /// How far above its fair share of what is in flight a server may be loaded.
        load_factor: Option<LoadFactor>,
    }
}
