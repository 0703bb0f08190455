//! What the writer of a table's journal reads from it while requests continue.

use std::collections::BTreeMap;
use std::sync::Arc;

use burdock::session::fingerprint::Fingerprint;
use burdock::table::{Change, ChangeKind, Session};
use shuttle::thread;

use super::{NOW, drain, enlist, explore, export, name, table, tie};

#[test]
fn a_snapshot_plus_later_changes_equals_the_table() {
    explore(|| {
        let table = Arc::new(table());
        let servers = Arc::new([enlist(&table, "a"), enlist(&table, "b")]);
        (0..4).for_each(|n| tie(&table, n, &servers[0]));
        let writing = Arc::clone(&table);
        let writer = thread::spawn(move || {
            drain(&writing);
            let snapshot = export(&writing);
            let changes = drain(&writing);
            writing.tidy();
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
        changes.extend(drain(&table));
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
        let server = enlist(&table, "a");
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let table = Arc::clone(&table);
                thread::spawn(move || drain(&table))
            })
            .collect();
        for n in 0..4 {
            tie(&table, n, &server);
        }
        (0..4).for_each(|n| _ = table.forget(name(n), NOW));
        let mut drained: Vec<Vec<Change>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        drained.push(drain(&table));
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

fn apply(changes: &[Change], to: &mut BTreeMap<Fingerprint, Session>) {
    for Change { kind, entry } in changes {
        match kind {
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed => {
                _ = to.insert(entry.fingerprint, entry.session)
            }
            ChangeKind::Forgotten => _ = to.remove(&entry.fingerprint),
        }
    }
}
