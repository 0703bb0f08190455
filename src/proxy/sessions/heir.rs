//! Tables on their way from one process to the next: blocks as they stand in files, over a socket.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use burdock::sticky::stored::{Header, Loader, Next, Precedence, next};
use burdock::sticky::table::{FingerprintKeyId, Table, TableName};
use burdock::time::UnixSeconds;
use parking_lot::Mutex;

use crate::proxy::handover::{Message, read, send_blocks};

/// An heir that reads nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// Who is told of the tables, as long as it listens.
#[derive(Debug)]
pub struct Heir(Mutex<Option<UnixStream>>);

pub type SharedHeir = Arc<Heir>;

impl Heir {
    pub fn shared(stream: UnixStream) -> SharedHeir {
        Arc::new(Self(Mutex::new(stream.set_write_timeout(Some(PATIENCE)).ok().map(|()| stream))))
    }

    /// Tells blocks of the table with this header.
    pub fn blocks(&self, header: &[u8], blocks: &[u8]) {
        self.tell(|stream| send_blocks(stream, header, blocks));
    }

    /// All tables have been told.
    pub fn complete(&self) {
        self.tell(|stream| Message::Complete.send(stream));
    }

    pub fn is_there(&self) -> bool {
        self.0.lock().is_some()
    }

    fn tell(&self, what: impl FnOnce(&mut UnixStream) -> io::Result<()>) {
        let mut stream = self.0.lock();
        if let Some(Err(error)) = stream.as_mut().map(what) {
            log::warn!("the new process is told no more of session tables: {error}");
            *stream = None;
        }
    }
}

/// Fills tables that serve nobody yet with what another process tells of them, and says which.
///
/// # Errors
/// If it does not tell all.
pub fn receive(
    from: &mut impl Read,
    tables: &[Arc<Table>],
    key: FingerprintKeyId,
    now: UnixSeconds,
) -> io::Result<HashSet<TableName>> {
    let mut loaders: Vec<_> = tables.iter().map(|table| (table, Loader::new(table, Precedence::Stored))).collect();
    let (mut received, mut current) = (HashSet::new(), None);
    loop {
        match read(from)? {
            Message::Table(header) => current = Some(header).filter(|header| header.key == key),
            Message::Blocks(octets) => {
                let Some(header) = &current else { continue };
                if let Some((_, loader)) = loaders.iter_mut().find(|(table, _)| table.spec().name == header.table) {
                    load(&octets, loader, now);
                    received.insert(header.table.clone());
                }
            }
            Message::Complete => break,
            Message::Hello(_) | Message::Estate(_) | Message::Prepared | Message::Refused(_) | Message::Serving => {}
        }
    }
    for (table, loader) in loaders {
        let skipped = loader.finish().skipped;
        if skipped > 0 {
            log::warn!("table {}: {skipped} sessions could not be tied to a server", table.spec().name);
        }
    }
    Ok(received)
}

/// Hands on what comes later, until it ends: why it did.
pub fn follow(from: &mut impl Read, mut tell: impl FnMut(&Header, &[u8])) -> io::Error {
    let (mut from, mut current) = (BufReader::with_capacity(WINDOW, from), None);
    loop {
        match read(&mut from) {
            Ok(Message::Table(header)) => current = Some(header),
            Ok(Message::Blocks(octets)) => current.iter().for_each(|header| tell(header, &octets)),
            Ok(
                Message::Complete
                | Message::Hello(_)
                | Message::Estate(_)
                | Message::Prepared
                | Message::Refused(_)
                | Message::Serving,
            ) => {}
            Err(error) => return error,
        }
    }
}

/// Puts blocks into a table. What it has to tell stays: it is at work.
pub fn apply(octets: &[u8], table: &Table, precedence: Precedence, now: UnixSeconds) {
    load(octets, &mut Loader::new(table, precedence), now);
}

fn load(mut octets: &[u8], loader: &mut Loader<'_>, now: UnixSeconds) {
    loop {
        let passed = match next(octets) {
            Next::Block { payload, octets } => {
                loader.apply(payload, now);
                octets
            }
            Next::Damaged { octets } => octets,
            Next::Needs(_) | Next::Nothing => return,
        };
        octets = octets.get(passed..).unwrap_or_default();
    }
}
