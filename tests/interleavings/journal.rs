//! What the writer of a table's journal reads from it while requests continue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use burdock::session::fingerprint::Fingerprint;
use burdock::table::{Change, ChangeKind, Confirmation, Delivery, Session, Subscription, Table};
use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::sync::atomic::AtomicBool;
use shuttle::thread;

use super::{NOW, drain, explore, export, follow, name, register, table, take, tie};

#[test]
fn a_snapshot_plus_later_changes_equals_the_table() {
    explore(|| {
        let table = Arc::new(table());
        let feed = follow(&table);
        let servers = Arc::new([register(&table, "a"), register(&table, "b")]);
        (0..4).for_each(|n| tie(&table, n, &servers[0]));
        let writing = Arc::clone(&feed);
        let writer = thread::spawn(move || {
            drain(&writing);
            let snapshot = export(writing.table());
            let changes = drain(&writing);
            writing.table().tidy();
            (snapshot, changes)
        });
        let requests: Vec<_> = (0..2_u8)
            .map(|n| {
                let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
                thread::spawn(move || {
                    table.look(name(n), NOW);
                    tie(&table, n + 1, &servers[1]);
                    table.forget(name(2 * n), NOW);
                    tie(&table, n + 4, &servers[usize::from(n)]);
                })
            })
            .collect();
        let (snapshot, mut changes) = writer.join().unwrap();
        requests.into_iter().for_each(|request| request.join().unwrap());
        changes.extend(drain(&feed));
        let mut written: BTreeMap<Fingerprint, Session> =
            snapshot.into_iter().map(|entry| (entry.fingerprint, entry.session)).collect();
        apply(&changes, &mut written);
        let expected = export(&table).into_iter().map(|entry| (entry.fingerprint, entry.session)).collect();
        assert_eq!(written, expected);
    });
}

#[test]
fn each_change_is_drained_once_and_in_order() {
    explore(|| {
        let table = Arc::new(table());
        let feed = follow(&table);
        let server = register(&table, "a");
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let feed = Arc::clone(&feed);
                thread::spawn(move || drain(&feed))
            })
            .collect();
        for n in 0..4 {
            tie(&table, n, &server);
        }
        (0..4).for_each(|n| _ = table.forget(name(n), NOW));
        let mut drained: Vec<Vec<Change>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        drained.push(drain(&feed));
        for n in 0..4 {
            let of = |changes: &Vec<Change>| -> Vec<ChangeKind> {
                changes.iter().filter(|change| change.entry.fingerprint == name(n)).map(|change| change.kind).collect()
            };
            let mut kinds: Vec<_> = drained.iter().flat_map(of).collect();
            // The order between two writers is unknown here, so each drain is checked on its own.
            kinds.sort_by_key(|kind| *kind == ChangeKind::Forgotten);
            assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Forgotten]);
            assert!(drained.iter().all(|changes| of(changes).is_sorted_by_key(|kind| *kind == ChangeKind::Forgotten)));
        }
    });
}

/// A subscriber's copy of the table.
type Copied = BTreeMap<Fingerprint, Session>;

#[test]
fn a_late_subscriber_gets_the_whole_table_too() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([register(&table, "a"), register(&table, "b")]);
        (0..2).for_each(|n| tie(&table, n, &servers[0]));
        let copier = |feed: Arc<Subscription>| {
            thread::spawn(move || {
                let mut copied = whole(feed.table());
                apply(&drain(&feed), &mut copied);
                (feed, copied)
            })
        };
        let early = copier(follow(&table));
        let requests = {
            let (table, servers) = (Arc::clone(&table), Arc::clone(&servers));
            thread::spawn(move || {
                tie(&table, 0, &servers[1]);
                table.forget(name(1), NOW);
                tie(&table, 2, &servers[1]);
            })
        };
        let late = copier(follow(&table));
        requests.join().unwrap();
        for copier in [early, late] {
            let (feed, mut copied): (Arc<Subscription>, Copied) = copier.join().unwrap();
            apply(&drain(&feed), &mut copied);
            assert_eq!(copied, whole(&table));
        }
    });
}

#[test]
fn a_wait_for_a_subscriber_ends_when_it_has_the_change_or_is_gone() {
    explore(|| {
        let table = Arc::new(table());
        let server = register(&table, "a");
        let feed = Subscription::new(&table, Delivery::Awaited { at_most: Duration::from_secs(1) });
        let (arrived, gone) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let subscriber = {
            let (arrived, gone) = (Arc::clone(&arrived), Arc::clone(&gone));
            thread::spawn(move || {
                for _ in 0..2 {
                    let round = feed.begin();
                    let changes = take(&feed);
                    arrived.lock().unwrap().extend(changes);
                    feed.complete(round);
                }
                gone.store(true, SeqCst);
            })
        };
        let requests: Vec<_> = (0..2)
            .map(|n| {
                let (table, server) = (Arc::clone(&table), server.clone());
                let (arrived, gone) = (Arc::clone(&arrived), Arc::clone(&gone));
                thread::spawn(move || {
                    tie(&table, n, &server);
                    let Some(confirmation) = Confirmation::of(&table) else { return };
                    block_on(confirmation);
                    let is_there = |change: &Change| change.entry.fingerprint == name(n);
                    assert!(gone.load(SeqCst) || arrived.lock().unwrap().iter().any(is_there));
                })
            })
            .collect();
        requests.into_iter().chain([subscriber]).for_each(|thread| thread.join().unwrap());
    });
}

fn whole(table: &Table) -> Copied {
    export(table).into_iter().map(|entry| (entry.fingerprint, entry.session)).collect()
}

fn apply(changes: &[Change], to: &mut Copied) {
    for Change { kind, entry, .. } in changes {
        match kind {
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed | ChangeKind::Offered => {
                _ = to.insert(entry.fingerprint, entry.session)
            }
            ChangeKind::Forgotten => _ = to.remove(&entry.fingerprint),
        }
    }
}
