//! Capacity: a table holds as many live sessions as it is configured for.

use burdock::table::{Budget, Known, Table};
use burdock::time::UnixSeconds;

use super::{Chance, START, fingerprint, register, spec, steps};

/// The share of sessions evicted while live. Sessions come and go, always `capacity` of them live, and end in random order, so the
/// table is as full as it may be and as uneven as it gets.
fn evicted_share(capacity: u32, lives: u64) -> f64 {
    let table = Table::new(spec(capacity, None, None));
    let server = register(&table, "web-1");
    let (now, mut chance) = (UnixSeconds(START), Chance(7));
    let mut live: Vec<u64> = Vec::new();
    let mut lost = 0;
    for session in 0..lives * u64::from(capacity) {
        if live.len() == capacity as usize {
            let ended = live.swap_remove(chance.below(u64::from(capacity)) as usize);
            lost += u64::from(table.forget(fingerprint(ended), now).is_none());
        }
        table.tie(fingerprint(session), &server, Budget::Within, now);
        live.push(session);
    }
    let tally = table.stats();
    assert_eq!(tally.evicted.iter().sum::<u64>(), lost + missing(&table, &live), "every lost session is counted");
    tally.evicted.iter().sum::<u64>() as f64 / tally.created as f64
}

fn missing(table: &Table, live: &[u64]) -> u64 {
    let known = |session: &&u64| matches!(table.find(fingerprint(**session), UnixSeconds(START)), Known::Session(_));
    (live.len() - live.iter().filter(known).count()) as u64
}

#[test]
fn a_table_at_capacity_evicts_fewer_than_1_in_10000() {
    // The worst capacities are those that fill their pages exactly.
    for (capacity, lives) in [(25_600, 20), (102_400, 10), (10 * steps(102_400) as u32, 8)] {
        let evicted = evicted_share(capacity, lives);
        assert!(evicted < 1e-4, "{capacity}: {evicted:e}");
        println!("{capacity}: {evicted:e}");
    }
}

#[test]
fn expired_sessions_take_no_room_from_live_ones() {
    // 20 sessions a second that live for at most 1,100 s: 22,000 live at a time, which fit into the table.
    let table = Table::new(spec(25_600, Some(1_000), None));
    let server = register(&table, "web-1");
    for session in 0..steps(4_000_000) {
        let now = UnixSeconds(START + (session / 20) as u32);
        table.tie(fingerprint(session), &server, Budget::Within, now);
    }
    let stats = table.stats();
    assert!(stats.evicted.iter().sum::<u64>() * 10_000 < stats.created, "{stats:?}");
}

#[test]
fn a_full_table_always_accepts_one_more() {
    let table = Table::new(spec(1_000, None, None));
    let server = register(&table, "web-1");
    for session in 0..200_000 {
        table.tie(fingerprint(session), &server, Budget::Within, UnixSeconds(START));
        assert!(matches!(table.find(fingerprint(session), UnixSeconds(START)), Known::Session(_)));
    }
    let slots = 256 * 147;
    let held = table.count(server.index(), UnixSeconds(START));
    assert!(held <= slots && held > slots * 99 / 100, "{held}");
    assert_eq!(table.stats().evicted, [0, 200_000 - held, 0]);
}
