//! The memory of a session table: fills one with the given number of sessions and prints the bytes that the process uses for each.
//! `scripts/bench table` compares it with a stick table of HAProxy.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may panic where it fails, and prints its result"
)]

use std::num::NonZeroU32;

use burdock::ids::ServerId;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::lifetime::Lifetime;
use burdock::table::{Budget, Persist, Table, TableName, TableSpec};
use burdock::time::UnixSeconds;

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
    let bytes = resident() - before;
    println!(
        "{{\"sessions\":{sessions},\"live\":{live},\"bytes\":{bytes},\"each\":{:.1}}}",
        bytes as f64 / f64::from(sessions)
    );
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
