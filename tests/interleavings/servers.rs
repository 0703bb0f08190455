//! Server numbers while configurations change.

use std::sync::Arc;

use burdock::ids::ServerId;
use burdock::table::Subscription;
use shuttle::thread;

use super::{NOW, drain, explore, find, follow, name, register, spec, table, take, tie};

#[test]
fn a_change_names_the_server_it_was_made_for() {
    explore(|| {
        let table = Arc::new(table());
        let feeds = [follow(&table), follow(&table)];
        let old = register(&table, "old");
        tie(&table, 1, &old);
        for feed in &feeds {
            drain(feed);
        }
        drop(old);
        let (requests, configuring) = (Arc::clone(&table), Arc::clone(&table));
        let requests = thread::spawn(move || {
            requests.look(name(1), NOW);
            requests.forget(name(1), NOW);
        });
        let configuration = thread::spawn(move || {
            let new = register(&configuring, "new");
            tie(&configuring, 2, &new);
        });
        let [writer, copier] = feeds.clone().map(|feed| thread::spawn(move || (0..3).for_each(|_| write(&feed))));
        for thread in [requests, configuration, writer, copier] {
            thread.join().unwrap();
        }
        feeds.iter().for_each(|feed| write(feed));
    });
}

/// Reads changes as the journal's writer does.
fn write(feed: &Subscription) {
    let (table, round) = (feed.table(), feed.begin());
    for change in take(feed) {
        let made_for = if change.entry.fingerprint == name(1) { "old" } else { "new" };
        assert_eq!(table.server(change.entry.session.server), ServerId::parse(made_for).ok(), "{:?}", change.kind);
    }
    feed.complete(round);
    table.tidy();
}

#[test]
fn a_server_with_sessions_keeps_its_number_during_a_table_reload() {
    explore(|| {
        let table = Arc::new(table());
        let old = register(&table, "old");
        tie(&table, 0, &old);
        tie(&table, 1, &old);
        let index = old.index();
        drop(old);
        let (succeeding, tidying) = (Arc::clone(&table), Arc::clone(&table));
        let reload = thread::spawn(move || succeeding.succeed(spec(1_000, 60), NOW));
        let writer = thread::spawn(move || {
            for _ in 0..3 {
                assert!(tidying.count(index, NOW) >= 2);
                tidying.tidy();
            }
        });
        let configuration = Arc::clone(&table);
        let configuration = thread::spawn(move || drop(register(&configuration, "new")));
        for thread in [reload, writer, configuration] {
            thread.join().unwrap();
        }
        assert_eq!(table.server(index), ServerId::parse("old").ok());
        assert_eq!(find(&table, 1).unwrap().server, index);
        assert_eq!(table.count(index, NOW), 2);
    });
}

#[test]
fn concurrent_registrations_get_one_server_number() {
    explore(|| {
        let table = Arc::new(table());
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    let server = register(&table, "a");
                    tie(&table, n, &server);
                    table.tidy();
                    server.index()
                })
            })
            .collect();
        let numbers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
        assert_eq!(table.count(numbers[0], NOW), 3);
        assert_eq!(table.servers().len(), 1);
    });
}
