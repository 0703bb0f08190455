//! Any file can be read as a session table's, and a table that was written is read back unchanged.
#![no_main]

use std::num::NonZeroU32;

use burdock::session::lifetime::Lifetime;
use burdock::table::format::{Batch, Header, Loader, Next, Precedence, next, records};
use burdock::table::{Cursor, Persist, Table, TableName, TableSpec};
use burdock::time::UnixSeconds;
use libfuzzer_sys::fuzz_target;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fuzz_target!(|input: (&[u8], &[u8])| {
    let (file, payload) = input;
    let _ = Header::decode(file);
    let table = table();
    let mut loader = Loader::new(&table, Precedence::Stored);
    let mut rest = file;
    while let Next::Block { payload, bytes } = next(rest) {
        loader.apply(payload, NOW);
        rest = &rest[bytes..];
    }
    assert!(records(payload).count() <= payload.len() / 2);
    loader.apply(payload, NOW);
    loader.finish();
    round_trip(&table);
});

/// Writes a table and loads another one from the result.
fn round_trip(first: &Table) {
    let sessions = sessions(first);
    let mut batch = Batch::default();
    sessions.iter().for_each(|entry| batch.tie(&entry.1, first));
    let second = table();
    let mut loader = Loader::new(&second, Precedence::Stored);
    let mut rest = batch.finish();
    while let Next::Block { payload, bytes } = next(rest) {
        loader.apply(payload, NOW);
        rest = &rest[bytes..];
    }
    assert!(rest.is_empty());
    assert_eq!(loader.finish().skipped, 0);
    let known =
        |sessions: &[Named]| sessions.iter().map(|(server, entry)| (server.clone(), entry.fingerprint)).collect::<Vec<_>>();
    let (mut before, mut after) = (known(&sessions), known(&self::sessions(&second)));
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after);
}

type Named = (Option<burdock::ids::ServerId>, burdock::table::Entry);

fn sessions(table: &Table) -> Vec<Named> {
    let (mut entries, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        cursor = table.export(at, NOW, &mut entries);
    }
    entries.into_iter().map(|entry| (table.server(entry.session.server), entry)).collect()
}

fn table() -> Table {
    let name = TableName::parse("fuzz").expect("a name");
    let capacity = NonZeroU32::new(1_000).expect("not 0");
    Table::new(TableSpec { name, capacity, lifetime: Lifetime::default(), persist: Persist::On })
}
