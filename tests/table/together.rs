//! Several threads on one table. Everything they share is behind locks, so this tests what locks do not guarantee: that counts kept
//! in several places agree afterwards, and that there is no deadlock.

use std::sync::Arc;
use std::thread;

use burdock::table::{Budget, Cursor, Delivery, Filter, Subscription, Table};
use burdock::time::UnixSeconds;

use super::{Chance, START, fingerprint, register, spec, steps};

#[test]
fn counts_agree_after_concurrent_use_and_reloads() {
    let table = Arc::new(Table::new(spec(2_000, Some(600), None)));
    let servers = ["a", "b", "c"].map(|id| register(&table, id));
    thread::scope(|scope| {
        for seed in 0..4 {
            let (table, servers) = (&table, &servers);
            scope.spawn(move || work(table, servers, seed));
        }
        let table = &table;
        scope.spawn(move || {
            let feed = Subscription::new(table, Delivery::Afterwards);
            for round in 0..steps(500) as u32 {
                let idle = if round % 2 == 0 { 600 } else { 60 };
                table.succeed(spec(2_000 + round % 3 * 40_000, Some(idle), None), UnixSeconds(START));
                table.tidy();
                drop(register(table, &format!("passing-{}", round % 10)));
                let changes = feed.begin();
                (0..table.shards()).for_each(|shard| _ = feed.drain(shard, &mut Vec::new()));
                feed.complete(changes);
                // A subscriber that comes and goes.
                drop(Subscription::new(table, Delivery::Afterwards));
            }
        });
    });
    let entries = table.list(&Filter::default(), Cursor::default(), usize::MAX, UnixSeconds(START)).entries;
    for server in &servers {
        let listed = entries.iter().filter(|entry| entry.session.server == server.index()).count();
        assert_eq!(table.count(server.index(), UnixSeconds(START)), listed as u64);
    }
}

fn work(table: &Table, servers: &[burdock::table::ServerHandle; 3], seed: u64) {
    let mut chance = Chance(seed << 32);
    for _ in 0..steps(2_000_000) {
        let name = fingerprint(chance.below(60_000));
        // All seen within a tenth of the idle time, so that counts are exact.
        let now = UnixSeconds(START);
        match chance.below(10) {
            0..5 => _ = table.look(name, now),
            5..9 => _ = table.tie(name, &servers[chance.below(3) as usize], Budget::Within, now),
            _ => _ = table.forget(name, now),
        }
        if chance.below(20_000) == 0 {
            table.forget_server(servers[0].index(), now);
        }
        if chance.below(1_000) == 0 {
            table.count(servers[1].index(), now);
        }
    }
}
