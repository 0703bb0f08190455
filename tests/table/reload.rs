//! A table continues under a new specification.

use burdock::session::claim::BadClaim;
use burdock::table::{Budget, Cursor, Filter, Known, Table};
use burdock::time::UnixSeconds;

use super::{START, fingerprint, register, spec};

const NOW: UnixSeconds = UnixSeconds(START);

fn filled(sessions: u64, capacity: u32) -> Table {
    let table = Table::new(spec(capacity, Some(1_800), None));
    let server = register(&table, "a");
    for session in 0..sessions {
        table.tie(fingerprint(session), &server, Budget::Within, NOW);
    }
    table
}

fn known(table: &Table, sessions: std::ops::Range<u64>) -> usize {
    sessions.filter(|session| matches!(table.find(fingerprint(*session), NOW), Known::Session(_))).count()
}

#[test]
fn a_larger_table_keeps_every_session() {
    let table = filled(50_000, 50_000);
    let bytes = table.bytes();
    table.succeed(spec(500_000, Some(1_800), None), NOW);
    assert_eq!(known(&table, 0..50_000), 50_000);
    assert!(table.bytes() > bytes * 5);
    assert_eq!(table.count(table.servers()[0].0, NOW), 50_000);
}

#[test]
fn a_smaller_table_keeps_established_sessions() {
    let table = filled(200_000, 200_000);
    for session in 0..20_000 {
        table.look(fingerprint(session), NOW);
    }
    table.succeed(spec(50_000, Some(1_800), None), NOW);
    assert!(known(&table, 0..20_000) > 19_990);
    let held = known(&table, 0..200_000);
    assert!(held <= 2 * 256 * 147, "{held}");
    assert_eq!(table.count(table.servers()[0].0, NOW), held as u64);
    let listed = table.list(&Filter::default(), Cursor::default(), usize::MAX, NOW);
    assert_eq!(listed.entries.len(), held);
}

#[test]
fn a_new_idle_time_applies_at_once_to_sessions_and_counts() {
    let table = filled(10_000, 10_000);
    let server = table.servers()[0].0;
    table.succeed(spec(10_000, Some(600), None), NOW);
    assert_eq!(table.find(fingerprint(1), UnixSeconds(START + 661)), Known::Expired(BadClaim::ExpiredIdle));
    assert_eq!(table.count(server, UnixSeconds(START + 660)), 10_000);
    assert_eq!(table.count(server, UnixSeconds(START + 721)), 0);
    for session in 0..10_000 {
        table.forget(fingerprint(session), NOW);
    }
    assert_eq!(table.count(server, NOW), 0);
}

#[test]
fn the_same_spec_changes_nothing() {
    let table = filled(10_000, 10_000);
    table.succeed(spec(10_000, Some(1_800), None), NOW);
    assert_eq!(known(&table, 0..10_000), 10_000);
    assert_eq!(table.stats().evicted, [0; 3]);
}

#[test]
fn a_list_continues_through_a_change_of_capacity() {
    let table = filled(50_000, 50_000);
    let first = table.list(&Filter::default(), Cursor::default(), 25_000, NOW);
    table.succeed(spec(500_000, Some(1_800), None), NOW);
    let rest = table.list(&Filter::default(), first.next.unwrap(), usize::MAX, NOW);
    let all: std::collections::HashSet<_> =
        first.entries.iter().chain(&rest.entries).map(|entry| entry.fingerprint).collect();
    assert_eq!(all.len(), 50_000);
}
