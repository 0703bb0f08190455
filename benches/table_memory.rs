//! What a session table costs in memory: fills one with as many sessions as are asked for and prints what the process takes,
//! in octets for each. `scripts/bench table` runs it beside a stick table of HAProxy.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may end where it fails, and prints what it found"
)]

use std::num::NonZeroU32;

use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::lifetime::Lifetime;
use burdock::table::{Budget, Persist, Table, TableName, TableSpec};
use burdock::time::UnixSeconds;
use burdock::upstream::ServerId;

fn main() {
    let asked = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let sessions: u32 = asked.unwrap_or(1_000_000);
    let before = resident();
    let spec = TableSpec {
        name: TableName::parse("measured").unwrap(),
        capacity: NonZeroU32::new(sessions).unwrap(),
        lifetime: Lifetime { idle: Some(3_600), life: None },
        persist: Persist::Off,
    };
    let table = Table::new(spec);
    let key = FingerprintKey::parse(&"5e".repeat(32)).unwrap();
    let servers: Vec<_> = (0..16).map(|n| table.register(&ServerId::parse(&format!("s{n}")).unwrap()).unwrap()).collect();
    let now = UnixSeconds(1_800_000_000);
    for n in 0..sessions {
        let name = key.fingerprint(format!("{n:036}").as_bytes());
        table.tie(name, &servers[n as usize % servers.len()], Budget::Within, now);
    }
    let live: u64 = servers.iter().map(|server| table.count(server.index(), now)).sum();
    let octets = resident() - before;
    println!(
        "{{\"sessions\":{sessions},\"live\":{live},\"octets\":{octets},\"each\":{:.1}}}",
        octets as f64 / f64::from(sessions)
    );
}

/// What the process has in memory now, in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
