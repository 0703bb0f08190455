//! The session table, and the queue of a full server, under a scheduler (shuttle) that decides at each lock which thread continues:
//! it tries thousands of interleavings of the same few calls, including those that real threads meet once a year. A deadlock fails
//! the test, and so does a waiting request that is never woken.
//!
//! `cargo nextest run --no-default-features --features shuttle --test interleavings`; `BURDOCK_FULL=1` tries ten times
//! as many interleavings.
#![allow(clippy::unwrap_used, reason = "a test may end where it fails")]

mod journal;
mod peers;
mod queue;
mod servers;
mod sessions;

use std::num::NonZeroU32;
use std::sync::Arc;

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::lifetime::Lifetime;
use burdock::table::{
    Budget, Change, Cursor, Delivery, Entry, Known, Lost, Persist, ServerHandle, Session, Subscription, Table, TableName,
    TableSpec,
};
use burdock::time::UnixSeconds;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// Only names in the last shards are used, so that a pass over the table takes few steps: the fewer steps a thread takes, the more
/// of its interleavings are tried.
const SHARDS: [u8; 2] = [254, 255];

/// Tries random interleavings, then interleavings with few switches between threads, which find what random ones rarely do.
fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    explore_some(20_000, test);
}

/// As [`explore`], with another number of interleavings: for tests that take long.
fn explore_some(full: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    let interleavings = if std::env::var("BURDOCK_FULL").is_ok_and(|set| set == "1") { full } else { full / 10 };
    run(RandomScheduler::new(interleavings), test.clone());
    run(PctScheduler::new(3, interleavings), test);
}

fn run(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // Without optimization, a reload puts table pages on its stack.
    config.stack_size = 256 << 10;
    Runner::new(scheduler, config).run(test);
}

fn spec(capacity: u32, idle: u32) -> TableSpec {
    let name = TableName::parse("sessions").unwrap();
    let lifetime = Lifetime { idle: Some(idle), life: None };
    TableSpec { name, capacity: NonZeroU32::new(capacity).unwrap(), lifetime, persist: Persist::On }
}

fn table() -> Table {
    Table::new(spec(1_000, 600))
}

fn register(table: &Table, id: &str) -> ServerHandle {
    table.register(&ServerId::parse(id).unwrap()).unwrap()
}

/// The session with this number; odd ones are in the last shard.
fn name(n: u8) -> Fingerprint {
    let mut bytes = [n.wrapping_mul(37); 16];
    bytes[0] = SHARDS[usize::from(n % 2)];
    Fingerprint::from_bytes(bytes)
}

fn tie(table: &Table, n: u8, server: &ServerHandle) {
    table.tie(name(n), server, Budget::Within, NOW);
}

fn find(table: &Table, n: u8) -> Option<Session> {
    match table.find(name(n), NOW) {
        Known::Session(session) => Some(session),
        Known::Expired(_) | Known::Unknown => None,
    }
}

fn follow(table: &Arc<Table>) -> Arc<Subscription> {
    Arc::new(Subscription::new(table, Delivery::Afterwards))
}

/// The changes of one whole round.
fn drain(feed: &Subscription) -> Vec<Change> {
    let round = feed.begin();
    let changes = take(feed);
    feed.complete(round);
    changes
}

fn take(feed: &Subscription) -> Vec<Change> {
    let mut changes = Vec::new();
    for shard in SHARDS {
        assert_eq!(feed.drain(shard.into(), &mut changes), Lost::default());
    }
    changes
}

/// All entries in the used shards.
fn export(table: &Table) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut cursor = Some(Cursor::from_number(u64::from(SHARDS[0]) << 48));
    while let Some(at) = cursor {
        cursor = table.export(at, NOW, &mut entries);
    }
    entries
}
