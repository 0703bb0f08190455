//! The cost of a session table: lookups and creations, compared with one dependent read (a read whose address comes from the
//! previous read) of memory of the same size.
//!
//! `cargo bench --no-default-features --bench table`; with `BURDOCK_BENCH_LARGE=1` also 10 million sessions, for which the goals
//! are: a lookup, its fingerprint included, 300 ns and 1.8 dependent reads; a creation that pushes another session out 300 ns;
//! two threads 1.7 times one; 48 bytes a session.
//!
//! Each lookup depends on the result of the previous one, as if requests came one at a time; otherwise the processor would overlap
//! them.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic where it fails")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures time and prints results")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::lifetime::Lifetime;
use burdock::table::{Budget, Delivery, Known, Persist, ServerHandle, Subscription, Table, TableName, TableSpec};
use burdock::time::UnixSeconds;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

const IDLE: u32 = 1_800;
const START: u32 = 1_800_000_000;

struct Bench {
    table: Arc<Table>,
    feed: Subscription,
    server: ServerHandle,
    key: FingerprintKey,
    sessions: u64,
}

fn sizes(criterion: &mut Criterion) {
    fingerprint(criterion);
    let large = std::env::var("BURDOCK_BENCH_LARGE").is_ok_and(|set| set == "1");
    for sessions in [10_000, 1_000_000].into_iter().chain(large.then_some(10_000_000)) {
        let before = resident();
        let bench = Bench::new(sessions);
        let bytes = resident().saturating_sub(before) as f64 / sessions as f64;
        let known = bench.table.bytes() as f64 / sessions as f64;
        println!("{sessions} sessions: {bytes:.1} bytes each resident, {known:.1} by the table's own count");
        let mut group = criterion.benchmark_group(format!("{sessions} sessions"));
        group.sample_size(20).measurement_time(Duration::from_secs(3));
        dependent_reads(&mut group, bench.table.bytes());
        lookups(&mut group, &bench);
        threads(&mut group, &bench);
        creations(&mut group, &bench);
        group.finish();
    }
}

fn fingerprint(criterion: &mut Criterion) {
    let bench = Bench::new(1);
    criterion.bench_function("fingerprint of 38 bytes", |bencher| bencher.iter(|| bench.fingerprint(black_box(7))));
}

fn lookups(group: &mut BenchmarkGroup<'_, WallTime>, bench: &Bench) {
    let mut at = 0;
    group.bench_function("look", |bencher| bencher.iter(|| at = bench.look(at, START)));
    let (mut at, mut now) = (0, START);
    group.bench_function("look, always due", |bencher| {
        bencher.iter(|| {
            at = bench.look(at, now);
            if at == 0 {
                now += IDLE / 10;
            }
            if at.is_multiple_of(100_000) {
                bench.drain();
            }
        });
    });
    let mut at = bench.sessions;
    group.bench_function("look, unknown session", |bencher| {
        bencher.iter(|| {
            at += 1;
            black_box(bench.table.look(bench.fingerprint(at), UnixSeconds(now)));
        });
    });
}

fn threads(group: &mut BenchmarkGroup<'_, WallTime>, bench: &Bench) {
    for threads in [1, 2] {
        group.bench_function(format!("look, {threads} threads, each"), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        scope.spawn(move || {
                            let mut at = thread * bench.sessions / 2;
                            for _ in 0..iterations {
                                at = bench.look(at, START);
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
}

fn creations(group: &mut BenchmarkGroup<'_, WallTime>, bench: &Bench) {
    let mut at = bench.sessions;
    for _ in 0..bench.sessions {
        at += 1;
        bench.tie(at);
    }
    bench.drain();
    group.bench_function("create, evicting another", |bencher| {
        bencher.iter(|| {
            at += 1;
            bench.tie(at);
            if at.is_multiple_of(100_000) {
                bench.drain();
            }
        });
    });
}

/// Dependent reads in memory made of pages, like the table's.
fn dependent_reads(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize) {
    let mut random = 1_u64;
    let mut word = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let memory: Vec<Page> = (0..bytes / size_of::<Page>()).map(|_| Page(std::array::from_fn(|_| word()))).collect();
    let (mut read, mut salt) = (0_u64, 0_u64);
    group.bench_function("one dependent read", |bencher| {
        bencher.iter(|| {
            salt = salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let place = read ^ salt;
            let page = (((place >> 32) * memory.len() as u64) >> 32) as usize;
            read = memory[page].0[place as usize % 512];
        });
    });
    black_box(read);
}

#[repr(align(4096))]
struct Page([u64; 512]);

impl Bench {
    fn new(sessions: u64) -> Self {
        let lifetime = Lifetime { idle: Some(IDLE), life: Some(86_400 * 365) };
        let capacity = NonZeroU32::new(sessions.try_into().unwrap()).unwrap();
        let name = TableName::parse("sessions").unwrap();
        let table = Arc::new(Table::new(TableSpec { name, capacity, lifetime, persist: Persist::On }));
        let feed = Subscription::new(&table, Delivery::Afterwards);
        let server = table.register(&ServerId::parse("web-1").unwrap()).unwrap();
        let key = FingerprintKey::parse(&"5a".repeat(32)).unwrap();
        let bench = Self { table, feed, server, key, sessions };
        for session in 0..sessions {
            bench.tie(session);
        }
        bench.drain();
        // The first lookup of a session makes it established, which is recorded as a change.
        for session in 0..sessions {
            bench.look(session, START);
        }
        bench.drain();
        bench
    }

    /// Looks a session up and returns the next one, which depends on the result: the server's number, which is 0, is added.
    fn look(&self, session: u64, now: u32) -> u64 {
        let Known::Session(found) = self.table.look(self.fingerprint(session), UnixSeconds(now)) else {
            return (session + 1) % self.sessions;
        };
        let next = session + 1 + found.server.get() as u64;
        if next < self.sessions { next } else { 0 }
    }

    fn tie(&self, session: u64) {
        black_box(self.table.tie(self.fingerprint(session), &self.server, Budget::Within, UnixSeconds(START)));
    }

    fn fingerprint(&self, session: u64) -> Fingerprint {
        let mut name = *b"0123456789ABCDEF0123456789ABCDEF.node1";
        name[..8].copy_from_slice(&session.to_le_bytes());
        self.key.fingerprint(&name)
    }

    fn drain(&self) {
        for shard in 0..self.table.shards() {
            let _ = self.feed.drain(shard, &mut Vec::new());
        }
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|pages| pages.split(' ').nth(1)?.parse().ok()).map_or(0, |pages: usize| pages * 4096)
}

criterion_group!(benches, sizes);
criterion_main!(benches);
