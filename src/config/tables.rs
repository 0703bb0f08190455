//! `tables`: the tables of learned sessions, including those that only entries of upstreams name.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::schema::read::{At, MapOf};
use crate::config::schema::scalar::{Bool, Int, OrNone};
use crate::config::schema::text::{any_of, nearest};
use crate::config::schema::units::Seconds;
use crate::session::lifetime::Lifetime;
use crate::sticky::method::MethodSpec;
use crate::table::{BudgetSpec, Persist, TableName, TableSpec, TooManyServers};

use crate::config::conflicts::PlacedUpstream;

record! {
    "a session table" => struct TableText {
        /// The number of live sessions that fit. With more, the least important ones are dropped.
        capacity: Int<NonZeroU32, 1, 1_000_000_000> = "100000",
        /// The longest time between two requests of a session.
        idle_timeout: OrNone<At<Seconds>> = "1h",
        /// The longest time since a session was learned.
        max_life: OrNone<At<Seconds>> = "none",
        /// Whether sessions are stored in the state directory and survive restarts.
        persist: Bool = "true",
        /// How many sessions the clients of one network (/24 of IPv4, /48 of IPv6) may create per minute before further
        /// ones are dropped first.
        creations_per_minute: Int<NonZeroU32, 1, 1_000_000_000> = "600",
    }
}

/// All tables, including those that only entries name.
pub(super) fn build(
    written: <MapOf<TableName, TableText> as crate::config::schema::read::Read>::Value,
    upstreams: &[PlacedUpstream],
    findings: &mut Findings,
) -> Vec<(TableSpec, BudgetSpec)> {
    let mut tables: Vec<(TableSpec, BudgetSpec)> =
        written.into_iter().filter_map(|(name, table)| Some(spec(name.value, table?, findings))).collect();
    let mut known: HashSet<TableName> = tables.iter().map(|(table, _)| table.name.clone()).collect();
    for (name, at, scope) in named_by_entries(upstreams) {
        if known.contains(name) {
            continue;
        }
        if name.as_str() == scope {
            tables.push(default_table(name.clone()));
            known.insert(name.clone());
        } else {
            unknown(name, at, &tables, findings);
        }
    }
    let users = users(upstreams);
    for (table, _) in &tables {
        check_servers(&table.name, users.get(&table.name).map_or(&[], Vec::as_slice), findings);
    }
    tables
}

/// The upstreams that learn into each table, with the first entry that does.
fn users(upstreams: &[PlacedUpstream]) -> HashMap<&TableName, Vec<(&PlacedUpstream, usize)>> {
    let mut users: HashMap<&TableName, Vec<(&PlacedUpstream, usize)>> = HashMap::new();
    for upstream in upstreams {
        for (nth, entry) in upstream.spec.sticky.entries.iter().enumerate() {
            let MethodSpec::Learn(learn) = &entry.method else { continue };
            let of_table = users.entry(&learn.table).or_default();
            if of_table.last().is_none_or(|(last, _)| !std::ptr::eq(*last, upstream)) {
                of_table.push((upstream, nth));
            }
        }
    }
    users
}

/// A table numbers its servers, and has a limited range of numbers.
fn check_servers(name: &TableName, users: &[(&PlacedUpstream, usize)], findings: &mut Findings) {
    let mut servers = HashSet::new();
    for &(upstream, nth) in users {
        servers.extend(upstream.spec.upstream.servers.iter().map(|server| &server.id));
        if servers.len() > TooManyServers::MAX {
            let message = format!("table {name} would have {} servers: {TooManyServers}", servers.len());
            findings.fault_with_help(upstream.entries_at[nth], message, "give some upstreams a table of their own");
            return;
        }
    }
}

/// Every table that an entry names, with the scope of its upstream.
fn named_by_entries(upstreams: &[PlacedUpstream]) -> impl Iterator<Item = (&TableName, Location, &str)> {
    upstreams.iter().flat_map(|upstream| {
        let sticky = &upstream.spec.sticky;
        sticky.entries.iter().zip(&upstream.entries_at).filter_map(|(entry, &at)| {
            if let MethodSpec::Learn(learn) = &entry.method { Some((&learn.table, at, &*sticky.scope.0)) } else { None }
        })
    })
}

fn unknown(name: &TableName, at: Location, tables: &[(TableSpec, BudgetSpec)], findings: &mut Findings) {
    let names = || tables.iter().map(|(table, _)| table.name.as_str());
    let help = match nearest(name.as_str(), names()) {
        Some(near) => format!("did you mean {near}?"),
        None if tables.is_empty() => format!("declare it: tables: {{{name}: {{}}}}"),
        None => format!("the tables are {}", any_of(names()).replace(" or ", " and ")),
    };
    findings.fault_with_help(at, format!("unknown table {name}"), help);
}

fn spec(name: TableName, written: TableText, findings: &mut Findings) -> (TableSpec, BudgetSpec) {
    let TableText { capacity, idle_timeout, max_life, persist, creations_per_minute } = written;
    if let Some((idle, _)) = idle_timeout.as_ref().zip(max_life.as_ref()).filter(|(idle, life)| idle.value > life.value) {
        findings.warning(idle.at, "longer than max_life, so it has no effect");
    }
    let seconds = |time: Option<At<u32>>| time.map(|time| time.value);
    let lifetime = Lifetime { idle: seconds(idle_timeout), life: seconds(max_life) };
    let persist = if persist { Persist::On } else { Persist::Off };
    (TableSpec { name, capacity, lifetime, persist }, budget(creations_per_minute))
}

/// A table with default settings.
fn default_table(name: TableName) -> (TableSpec, BudgetSpec) {
    let lifetime = Lifetime { idle: Some(3_600), life: None };
    let capacity = NonZeroU32::new(100_000).unwrap_or(NonZeroU32::MIN);
    (TableSpec { name, capacity, lifetime, persist: Persist::On }, budget(NonZeroU32::new(600).unwrap_or(NonZeroU32::MIN)))
}

fn budget(creations: NonZeroU32) -> BudgetSpec {
    BudgetSpec { creations, window: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN) }
}
