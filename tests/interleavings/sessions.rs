//! Concurrent requests on the same sessions.

use std::sync::Arc;

use burdock::table::{Budget, Known, Tied};
use shuttle::thread;

use super::{NOW, explore, export, find, name, register, spec, table, tie};

#[test]
fn a_tied_session_is_found_despite_concurrent_changes() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([register(&table, "a"), register(&table, "b")]);
        let threads: Vec<_> = (0..3_u8)
            .map(|n| {
                let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
                thread::spawn(move || {
                    for server in [0, 1, 0] {
                        tie(&table, n, &servers[server]);
                        assert_eq!(find(&table, n).unwrap().server, servers[server].index());
                        assert!(matches!(table.look(name(n), NOW), Known::Session(_)));
                    }
                    table.forget(name(n), NOW);
                    assert_eq!(find(&table, n), None);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(export(&table), []);
    });
}

#[test]
fn concurrent_ties_of_one_name_form_one_chain_of_moves() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new(["a", "b", "c"].map(|id| register(&table, id)));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
                thread::spawn(move || table.tie(name(1), &servers[n], Budget::Within, NOW))
            })
            .collect();
        let tied: Vec<Tied> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(tied.iter().filter(|tied| **tied == Tied::Created).count(), 1);
        // Each tie but the last was found and moved by another thread.
        let last = find(&table, 1).unwrap().server;
        let mut left: Vec<_> =
            tied.iter().filter_map(|tied| if let Tied::Moved { from } = tied { Some(*from) } else { None }).collect();
        left.push(last);
        left.sort_unstable();
        assert_eq!(left, servers.iter().map(|server| server.index()).collect::<Vec<_>>());
    });
}

#[test]
fn session_counts_match_the_entries() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([register(&table, "a"), register(&table, "b")]);
        let mut threads: Vec<_> = (0..2_u8)
            .map(|n| {
                let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
                thread::spawn(move || {
                    for session in 0..3 {
                        tie(&table, session, &servers[usize::from(n)]);
                    }
                    table.forget(name(n), NOW);
                })
            })
            .collect();
        let reader = Arc::clone(&table);
        let index = servers[0].index();
        threads.push(thread::spawn(move || assert!((0..3).all(|_| reader.count(index, NOW) <= 3))));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_counts_match(&table, &*servers);
    });
}

#[test]
fn sessions_are_found_and_counted_during_a_table_reload() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([register(&table, "a"), register(&table, "b")]);
        tie(&table, 1, &servers[0]);
        let (succeeding, moving) = (Arc::clone(&table), Arc::clone(&table));
        let ours = Arc::clone(&servers);
        // The new spec has another idle timeout, so other periods for counting, and more pages.
        let reload = thread::spawn(move || succeeding.succeed(spec(40_000, 60), NOW));
        let request = thread::spawn(move || {
            assert!(moving.count(ours[0].index(), NOW) >= 1);
            tie(&moving, 1, &ours[1]);
            tie(&moving, 2, &ours[1]);
            assert_eq!(find(&moving, 1).unwrap().server, ours[1].index());
            assert!(moving.count(ours[1].index(), NOW) >= 2);
        });
        reload.join().unwrap();
        request.join().unwrap();
        assert_eq!(table.count(servers[1].index(), NOW), 2);
        assert_counts_match(&table, &*servers);
    });
}

fn assert_counts_match(table: &burdock::table::Table, servers: &[burdock::table::ServerHandle]) {
    let entries = export(table);
    for server in servers.iter().map(|server| server.index()) {
        let expected = entries.iter().filter(|entry| entry.session.server == server).count();
        assert_eq!(table.count(server, NOW), expected as u64);
    }
}
