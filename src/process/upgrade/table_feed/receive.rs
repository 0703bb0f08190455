//! The new process's side: fills its tables, then applies later changes.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Loader, Next, Precedence, next};
use burdock::table::{Table, TableName};
use burdock::time::UnixSeconds;

use crate::process::upgrade::protocol::{Message, read};
use crate::runtime::clock::Clock;

/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// Fills tables that are not in use yet with what another process sends, and returns the names of those that were filled.
///
/// # Errors
/// If the connection ends before all tables are sent.
pub fn receive(
    from: &mut impl Read,
    tables: &[Arc<Table>],
    key: FingerprintKeyId,
    clock: &Clock,
) -> io::Result<HashSet<TableName>> {
    let (begun, now) = (clock.uptime(), clock.moment().now().wall);
    let mut loaders: Vec<_> = tables.iter().map(|table| (table, Loader::new(table, Precedence::Stored))).collect();
    let (mut received, mut current) = (HashSet::new(), None);
    loop {
        match read(from)? {
            Message::Table(header) => current = Some(header).filter(|header| header.key == key),
            Message::Blocks(bytes) => {
                let Some(header) = &current else { continue };
                if let Some((_, loader)) = loaders.iter_mut().find(|(table, _)| table.spec().name == header.table) {
                    load(&bytes, loader, now);
                    received.insert(header.table.clone());
                }
            }
            Message::Complete => break,
            Message::Hello(_) | Message::Handoff(_) | Message::Prepared | Message::Refused(_) | Message::Serving => {}
        }
    }
    for (table, loader) in loaders {
        let skipped = loader.finish().skipped;
        if skipped > 0 {
            log::warn!("table {}: skipped {skipped} sessions without a usable server", table.spec().name);
        }
    }
    let took = clock.uptime().since(begun);
    for table in tables.iter().filter(|table| received.contains(&table.spec().name)) {
        log::info!("table {}: {} sessions, from the running process in {took:?}", table.spec().name, live(table, now));
    }
    Ok(received)
}

/// The number of live sessions.
fn live(table: &Table, now: UnixSeconds) -> u64 {
    table.servers().iter().map(|(index, _)| table.count(*index, now)).sum()
}

/// Passes each later block to `each` until the connection ends, and returns the reason for its end.
pub fn follow(from: &mut impl Read, mut each: impl FnMut(&Header, &[u8])) -> io::Error {
    let (mut from, mut current) = (BufReader::with_capacity(WINDOW, from), None);
    loop {
        match read(&mut from) {
            Ok(Message::Table(header)) => current = Some(header),
            Ok(Message::Blocks(bytes)) => {
                if let Some(header) = &current {
                    each(header, &bytes)
                }
            }
            Ok(
                Message::Complete
                | Message::Hello(_)
                | Message::Handoff(_)
                | Message::Prepared
                | Message::Refused(_)
                | Message::Serving,
            ) => {}
            Err(error) => return error,
        }
    }
}

/// Applies blocks to a table in use. Its subscribers receive them from its feed.
pub fn apply(bytes: &[u8], table: &Table, now: UnixSeconds) {
    load(bytes, &mut Loader::new(table, Precedence::Later), now);
}

fn load(mut bytes: &[u8], loader: &mut Loader<'_>, now: UnixSeconds) {
    loop {
        let passed = match next(bytes) {
            Next::Block { payload, bytes } => {
                loader.apply(payload, now);
                bytes
            }
            Next::Damaged { bytes } => bytes,
            Next::Needs(_) | Next::Nothing => return,
        };
        bytes = bytes.get(passed..).unwrap_or_default();
    }
}
