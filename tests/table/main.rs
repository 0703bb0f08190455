//! The session table's rules, with a clock that the test moves: against a naive model, at its capacity, in a flood.
//! Runs a tenth of the steps, or all of them with `BURDOCK_FULL=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic where it fails")]

mod capacity;
mod exchange;
mod flood;
mod model;
mod pieces;
mod reload;
mod together;

use std::num::NonZeroU32;

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::lifetime::Lifetime;
use burdock::table::{Persist, ServerHandle, Table, TableName, TableSpec};

const START: u32 = 1_800_000_000;

fn spec(capacity: u32, idle: Option<u32>, life: Option<u32>) -> TableSpec {
    let capacity = NonZeroU32::new(capacity).unwrap();
    let name = TableName::parse("sessions").unwrap();
    TableSpec { name, capacity, lifetime: Lifetime { idle, life }, persist: Persist::On }
}

fn register(table: &Table, id: &str) -> ServerHandle {
    table.register(&ServerId::parse(id).unwrap()).unwrap()
}

/// A tenth of the steps, or all of them.
fn steps(full: u64) -> u64 {
    if std::env::var("BURDOCK_FULL").is_ok_and(|set| set == "1") { full } else { full / 10 }
}

/// The fingerprint of the session with this number, as evenly distributed as a keyed hash.
fn fingerprint(session: u64) -> Fingerprint {
    let (high, low) = (mix(session), mix(session ^ 0x5555_5555_5555_5555));
    Fingerprint::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// A bijection that removes all order from its input (the finalizer of splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A random number generator that repeats its numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        ((u128::from(mix(self.0)) * u128::from(bound)) >> 64) as u64
    }
}
