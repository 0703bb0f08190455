//! Exporting a table in pieces and importing it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::table::{Budget, Change, ChangeKind, Cursor, Delivery, Entry, Known, Lost, Session, Subscription, Table};
use burdock::time::UnixSeconds;

use super::{Chance, START, fingerprint, register, spec, steps};

const NOW: UnixSeconds = UnixSeconds(START);

fn export(table: &Table, mut between: impl FnMut()) -> Vec<Entry> {
    let (mut entries, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let before = entries.len();
        next = table.export(cursor, NOW, &mut entries);
        assert!(entries.len() - before <= Table::PIECE);
        between();
    }
    entries
}

#[test]
fn an_export_imports_with_every_live_session() {
    let table = Table::new(spec(100_000, Some(1_800), Some(86_400)));
    let servers = ["a", "b", "c"].map(|id| register(&table, id));
    for session in 0..100_000_u64 {
        let at = UnixSeconds(START - (session % 3_000) as u32);
        table.tie(fingerprint(session), &servers[session as usize % 3], Budget::Within, at);
        if session % 2 == 0 {
            table.look(fingerprint(session), at);
        }
    }
    let entries = export(&table, || ());
    let other = Arc::new(Table::new(spec(100_000, Some(1_800), Some(86_400))));
    let kept = ["a", "b", "c"].map(|id| register(&other, id));
    entries.iter().for_each(|entry| other.import(entry, NOW));
    for session in 0..100_000_u64 {
        let was = table.find(fingerprint(session), NOW);
        let is = other.find(fingerprint(session), NOW);
        assert_eq!(is, if let Known::Expired(_) = was { Known::Unknown } else { was });
    }
    assert_eq!(
        other.count(kept[0].index(), NOW),
        entries.iter().filter(|e| e.session.server == kept[0].index()).count() as u64
    );
    assert_eq!(changes(&follow(&other)), [], "what was so before is not in the feed");
}

#[test]
fn an_import_replaces_a_session_and_an_expired_one_removes_it() {
    let table = Table::new(spec(100, Some(100), None));
    let server = register(&table, "a");
    table.tie(fingerprint(1), &server, Budget::Within, NOW);
    let Known::Session(session) = table.find(fingerprint(1), NOW) else { panic!() };
    let mut older = session;
    older.stamps.seen = UnixSeconds(START - 50);
    table.import(&Entry { fingerprint: fingerprint(1), session: older }, NOW);
    assert_eq!(table.find(fingerprint(1), NOW), Known::Session(older));
    older.stamps.seen = UnixSeconds(START - 200);
    table.import(&Entry { fingerprint: fingerprint(1), session: older }, NOW);
    assert_eq!(table.find(fingerprint(1), NOW), Known::Unknown);
    assert_eq!(table.count(server.index(), NOW), 0);
}

/// The table is so full that sessions are displaced while it is read.
#[test]
fn a_snapshot_and_later_changes_hold_every_live_session() {
    let table = Arc::new(Table::new(spec(256_000, Some(1_800), None)));
    let feed = follow(&table);
    let servers = ["a", "b"].map(|id| register(&table, id));
    let mut chance = Chance(3);
    for session in 0..250_000 {
        table.tie(fingerprint(session), &servers[0], Budget::Within, NOW);
    }
    drain(&feed, &mut BTreeMap::new());
    let mut newcomer = 250_000;
    let mut later = BTreeMap::new();
    let entries = export(&table, || {
        for _ in 0..steps(2_000) {
            let session = chance.below(newcomer);
            match chance.below(4) {
                0 => _ = table.forget(fingerprint(session), NOW),
                1 => _ = table.tie(fingerprint(session), &servers[1], Budget::Within, NOW),
                2 => _ = table.look(fingerprint(session), NOW),
                _ => {
                    table.tie(fingerprint(newcomer), &servers[1], Budget::Within, NOW);
                    newcomer += 1;
                }
            }
        }
        drain(&feed, &mut later);
    });
    assert!(table.stats().displaced > 20, "{:?}", table.stats());
    let mut stored: BTreeMap<Fingerprint, Session> = entries.iter().map(|e| (e.fingerprint, e.session)).collect();
    for (name, session) in later {
        match session {
            Some(session) => _ = stored.insert(name, session),
            None => _ = stored.remove(&name),
        }
    }
    for session in 0..newcomer {
        let name = fingerprint(session);
        if let Known::Session(known) = table.find(name, NOW) {
            assert_eq!(stored.get(&name), Some(&known));
        }
    }
}

/// Applies the changes: the last one of each session counts.
fn drain(feed: &Subscription, into: &mut BTreeMap<Fingerprint, Option<Session>>) {
    let mut changes = Vec::new();
    for shard in 0..feed.table().shards() {
        let _ = feed.drain(shard, &mut changes);
        for Change { kind, entry, .. } in changes.drain(..) {
            into.insert(entry.fingerprint, (kind != ChangeKind::Forgotten).then_some(entry.session));
        }
    }
}

#[test]
fn changes_lost_by_a_slow_subscriber_are_counted() {
    let table = Arc::new(Table::new(spec(1_000, None, None)));
    let feed = follow(&table);
    let server = register(&table, "a");
    for session in 0..100_000 {
        table.tie(fingerprint(session), &server, Budget::Within, NOW);
    }
    let mut changes = Vec::new();
    let lost: u64 = (0..table.shards()).map(|shard| feed.drain(shard, &mut changes).others).sum();
    assert!(lost > 0 && !changes.is_empty());
    assert_eq!(lost + changes.len() as u64, 100_000);
}

#[test]
fn a_table_without_subscribers_records_nothing() {
    let table = Arc::new(Table::new(spec(1_000, None, None)));
    let server = register(&table, "a");
    let gone = follow(&table);
    drop(gone);
    table.tie(fingerprint(1), &server, Budget::Within, NOW);
    assert_eq!(changes(&follow(&table)), []);
}

#[test]
fn imported_sessions_reach_the_feed() {
    let table = Arc::new(Table::new(spec(1_000, Some(100), None)));
    let [a, b] = ["a", "b"].map(|id| register(&table, id));
    table.tie(fingerprint(1), &a, Budget::Within, NOW);
    let feed = follow(&table);
    let Known::Session(known) = table.find(fingerprint(1), NOW) else { panic!() };
    let import = |n: u64, session: Session| table.import(&Entry { fingerprint: fingerprint(n), session }, NOW);
    import(1, known);
    import(1, Session { server: b.index(), ..known });
    import(2, known);
    let mut over = known;
    over.stamps.seen = UnixSeconds(START - 200);
    import(2, over);
    import(3, over);
    let kinds_and_names: Vec<_> = changes(&feed).into_iter().map(|change| (change.kind, change.entry.fingerprint)).collect();
    let kinds = [ChangeKind::Refreshed, ChangeKind::Moved, ChangeKind::Created, ChangeKind::Forgotten];
    assert_eq!(kinds_and_names, kinds.into_iter().zip([1, 1, 2, 2].map(fingerprint)).collect::<Vec<_>>());
}

#[test]
fn a_server_number_is_reused_after_its_last_entry_is_gone() {
    let table = Table::new(spec(1_000, Some(100), None));
    let old = register(&table, "old");
    table.tie(fingerprint(1), &old, Budget::Within, NOW);
    let number = old.index();
    drop(old);
    assert_eq!(table.tidy(), 0, "an entry still uses the number");
    table.forget(fingerprint(1), NOW);
    assert_eq!((table.tidy(), table.tidy()), (0, 1), "only the second tidy frees it, because a change may still name it");
    assert_eq!(table.server(number), None);
    let new = register(&table, "new");
    assert_eq!(new.index(), number);
    assert_eq!(table.servers().len(), 1);
    assert_eq!(table.tidy(), 0, "the new server holds the number");
}

#[test]
fn a_change_between_drain_and_tidy_finds_its_server() {
    let table = Arc::new(Table::new(spec(1_000, Some(100), None)));
    let feed = follow(&table);
    let old = register(&table, "old");
    table.tie(fingerprint(1), &old, Budget::Within, NOW);
    drop(old);
    changes(&feed);
    table.look(fingerprint(1), NOW);
    table.forget(fingerprint(1), NOW);
    table.tidy();
    let _new = register(&table, "new");
    let named: Vec<_> = changes(&feed).iter().map(|change| table.server(change.entry.session.server)).collect();
    assert_eq!(named, vec![ServerId::parse("old").ok(); 2]);
    assert_eq!(
        (table.tidy(), table.index_of(&ServerId::parse("old").unwrap())),
        (1, None),
        "no pending change names the old server"
    );
}

#[test]
fn a_server_number_waits_for_every_subscriber_before_reuse() {
    let table = Arc::new(Table::new(spec(1_000, Some(100), None)));
    let (fast, slow) = (follow(&table), follow(&table));
    let old = register(&table, "old");
    table.tie(fingerprint(1), &old, Budget::Within, NOW);
    table.forget(fingerprint(1), NOW);
    drop(old);
    for _ in 0..3 {
        changes(&fast);
        assert_eq!(table.tidy(), 0);
    }
    let named: Vec<_> = changes(&slow).iter().map(|change| table.server(change.entry.session.server)).collect();
    assert_eq!(named, vec![ServerId::parse("old").ok(); 2]);
    assert_eq!(table.tidy(), 0, "this pass is the first that finds it unused");
    changes(&fast);
    assert_eq!(table.tidy(), 0);
    drop(slow);
    assert_eq!(table.tidy(), 1, "a dropped subscriber keeps no number");
}

fn follow(table: &Arc<Table>) -> Subscription {
    Subscription::new(table, Delivery::Afterwards)
}

/// The changes of one whole round.
fn changes(feed: &Subscription) -> Vec<Change> {
    let (mut changes, round) = (Vec::new(), feed.begin());
    for shard in 0..feed.table().shards() {
        assert_eq!(feed.drain(shard, &mut changes), Lost::default());
    }
    feed.complete(round);
    changes
}

#[test]
fn export_accepts_any_cursor() {
    let table = Table::new(spec(1_000, None, None));
    let mut chance = Chance(5);
    for _ in 0..10_000 {
        let cursor = Cursor::from_number(chance.below(u64::MAX) >> chance.below(64));
        table.export(cursor, NOW, &mut Vec::new());
    }
}

#[test]
fn a_half_full_table_survives_repeated_imports() {
    for budget in [Budget::Within, Budget::Over] {
        let many = steps(1_000_000);
        let mut table = Table::new(spec(2 * many as u32, Some(3_600), None));
        let server = register(&table, "a");
        for session in 0..many {
            table.tie(fingerprint(session), &server, budget, NOW);
        }
        let first = export(&table, || ()).len();
        for round in 0..5 {
            let next = Table::new(spec(2 * many as u32, Some(3_600), None));
            register(&next, "a");
            export(&table, || ()).iter().for_each(|entry| next.import(entry, NOW));
            assert_eq!(export(&next, || ()).len(), first, "{budget:?}, round {round}");
            table = next;
        }
    }
}
