//! The latency of single lookups and creations in a full table, with and without a checkpoint being written: percentiles of both,
//! from one run. The goal is 20 µs at 99.9 %.
//!
//! `cargo bench --no-default-features --bench table_tail -- SESSIONS` (10 million). One thread does what requests do, with random
//! names. Another writes checkpoints as the program does: it encodes pieces of the table, writes them to a file, and pauses for a
//! millisecond after every eight. Noise of the machine is in both; a timer that only reads the clock is measured for comparison.
#![allow(clippy::unwrap_used, reason = "a measurement may panic where it fails")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures time and prints results")]

use std::hint::black_box;
use std::io::Write;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burdock::ids::ServerId;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::lifetime::Lifetime;
use burdock::table::format::Batch;
use burdock::table::{Budget, Change, Cursor, Delivery, Persist, ServerHandle, Subscription, Table, TableName, TableSpec};
use burdock::time::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const PIECES_PER_WRITE: usize = 8;
const PAUSE: Duration = Duration::from_millis(1);
const CALLS: usize = 4_000_000;

struct Bench {
    table: Arc<Table>,
    feed: Subscription,
    server: ServerHandle,
    key: FingerprintKey,
    sessions: u64,
}

fn main() {
    let asked = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let bench = Bench::new(asked.unwrap_or(10_000_000));
    println!("{:<34}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}", "nanoseconds", "mean", "50 %", "99 %", "99.9 %", "99.99 %", "max");
    for round in 1..=3 {
        println!("round {round}");
        report("the clock alone", measure(|_| 0));
        bench.requests("no writer");
        let (over, pieces) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| bench.write_checkpoints(&over, &pieces));
            bench.requests("with writer");
            over.store(true, Ordering::Relaxed);
        });
        println!("  (pieces written during the run: {})", pieces.into_inner());
    }
}

impl Bench {
    fn new(sessions: u64) -> Self {
        let lifetime = Lifetime { idle: Some(1_800), life: None };
        let capacity = NonZeroU32::new(sessions.try_into().unwrap()).unwrap();
        let name = TableName::parse("sessions").unwrap();
        let table = Arc::new(Table::new(TableSpec { name, capacity, lifetime, persist: Persist::On }));
        let feed = Subscription::new(&table, Delivery::Afterwards);
        let server = table.register(&ServerId::parse("web-1").unwrap()).unwrap();
        let bench = Self { table, feed, server, key: FingerprintKey::parse(&"5a".repeat(32)).unwrap(), sessions };
        // As many again, so that each that comes pushes another out.
        for session in 0..2 * sessions {
            bench.tie(session);
        }
        bench.drain();
        bench
    }

    fn requests(&self, how: &str) {
        let mut random = 1_u64;
        report(
            &format!("lookup, {how}"),
            measure(|nth| {
                if nth.is_multiple_of(50_000) {
                    self.drain();
                }
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let start = Instant::now();
                black_box(self.table.look(self.fingerprint(self.sessions + (random >> 33) % self.sessions), NOW));
                start.elapsed().as_nanos() as u64
            }),
        );
        let mut session = 4 * self.sessions;
        report(
            &format!("creation, {how}"),
            measure(|nth| {
                if nth.is_multiple_of(50_000) {
                    self.drain();
                }
                session += 1;
                let start = Instant::now();
                self.tie(session);
                start.elapsed().as_nanos() as u64
            }),
        );
    }

    fn write_checkpoints(&self, over: &AtomicBool, pieces: &AtomicU64) {
        let mut file = tempfile::tempfile().unwrap();
        let (mut entries, mut batch) = (Vec::with_capacity(Table::PIECE), Batch::default());
        let mut cursor = Cursor::default();
        while !over.load(Ordering::Relaxed) {
            for _ in 0..PIECES_PER_WRITE {
                entries.clear();
                cursor = self.table.export(cursor, NOW, &mut entries).unwrap_or_else(|| {
                    file.set_len(0).unwrap();
                    Cursor::default()
                });
                entries.iter().for_each(|entry| batch.tie(entry, &self.table));
            }
            file.write_all(batch.finish()).unwrap();
            batch.clear();
            pieces.fetch_add(PIECES_PER_WRITE as u64, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    }

    fn tie(&self, session: u64) {
        black_box(self.table.tie(self.fingerprint(session), &self.server, Budget::Within, NOW));
    }

    fn fingerprint(&self, session: u64) -> burdock::session::fingerprint::Fingerprint {
        let mut name = *b"0123456789ABCDEF0123456789ABCDEF.node1";
        name[..8].copy_from_slice(&session.to_le_bytes());
        self.key.fingerprint(&name)
    }

    /// Reuses the memory of changes, as the journal's writer does.
    fn drain(&self) {
        let mut changes: Vec<Change> = Vec::new();
        for shard in 0..self.table.shards() {
            changes.clear();
            let _ = self.feed.drain(shard, &mut changes);
        }
    }
}

/// The time of each of many calls: as the call returns it, or measured here if it returns 0.
fn measure(mut call: impl FnMut(usize) -> u64) -> Vec<u64> {
    (0..CALLS)
        .map(|nth| {
            let start = Instant::now();
            let took = call(nth);
            if took == 0 { start.elapsed().as_nanos() as u64 } else { took }
        })
        .collect()
}

fn report(what: &str, mut took: Vec<u64>) {
    took.sort_unstable();
    let mean = took.iter().sum::<u64>() as f64 / took.len() as f64;
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("{what:<34}{mean:>9.0}{:>9}{:>9}{:>9}{:>9}{:>9}", at(0.5), at(0.99), at(0.999), at(0.9999), at(1.0));
}
