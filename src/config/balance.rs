//! `balance` of an upstream.

use super::choice::choice;
use super::record::record;
use crate::sticky::identity::Source;
use crate::upstream::balance::{Balance, LoadFactor};

/// A way to balance, with what it hashes.
#[derive(Debug)]
pub(super) struct BalanceText {
    pub(super) balance: Balance,
    pub(super) key: Option<Source>,
}

choice! {
    "a way to balance" => BalanceText {
        /// In turn by weight, evenly interleaved.
        round_robin => Self { balance: Balance::RoundRobin, key: None },
        /// To the server with the fewest requests in flight for its weight.
        least_conn => Self { balance: Balance::LeastConn, key: None },
        /// To the less busy of two drawn at random.
        random_two => Self { balance: Balance::RandomTwo, key: None },
        /// To the first in the order written that may take it.
        first => Self { balance: Balance::First, key: None },
        /// By consistent hash of something that the request carries.
        hash(HashText) => |hash: HashText| Self { balance: Balance::Hash(hash.load_factor), key: Some(hash.key) },
    }
}

record! {
    "hash" => struct HashText {
        /// What is hashed: client_ip, cookie:NAME, header:NAME or query:NAME.
        key: Source,
        /// How far above its fair share of what is in flight a server may be loaded.
        load_factor: Option<LoadFactor>,
    }
}
