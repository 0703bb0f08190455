//! What requests do to sessions at one time.

use std::sync::Arc;

use burdock::table::{Budget, Known, Tied};
use shuttle::thread;

use super::{NOW, enlist, explore, export, find, name, spec, table, tie};

#[test]
fn what_a_thread_has_tied_is_found_whatever_others_do() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([enlist(&table, "a"), enlist(&table, "b")]);
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
fn threads_that_tie_one_name_agree_who_was_first_and_who_moved_it() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new(["a", "b", "c"].map(|id| enlist(&table, id)));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
                thread::spawn(move || table.tie(name(1), &servers[n], Budget::Within, NOW))
            })
            .collect();
        let tied: Vec<Tied> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(tied.iter().filter(|tied| **tied == Tied::Created).count(), 1);
        // Each tie but the last was found by another, who moved it.
        let last = find(&table, 1).unwrap().server;
        let mut left: Vec<_> =
            tied.iter().filter_map(|tied| if let Tied::Moved { from } = tied { Some(*from) } else { None }).collect();
        left.push(last);
        left.sort_unstable();
        assert_eq!(left, servers.iter().map(|server| server.index()).collect::<Vec<_>>());
    });
}

#[test]
fn counts_are_those_of_the_entries() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([enlist(&table, "a"), enlist(&table, "b")]);
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
        counted(&table, &*servers);
    });
}

#[test]
fn a_session_is_found_and_counted_while_the_table_is_given_another_spec() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([enlist(&table, "a"), enlist(&table, "b")]);
        tie(&table, 1, &servers[0]);
        let (succeeding, moving) = (Arc::clone(&table), Arc::clone(&table));
        let ours = Arc::clone(&servers);
        // Other tenths to count by, and more pages.
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
        counted(&table, &*servers);
    });
}

fn counted(table: &burdock::table::Table, servers: &[burdock::table::Enlisted]) {
    let entries = export(table);
    for server in servers.iter().map(|server| server.index()) {
        let there = entries.iter().filter(|entry| entry.session.server == server).count();
        assert_eq!(table.count(server, NOW), there as u64);
    }
}
