//! Tables on their way from one process to the next: blocks as they stand in files, over a socket.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Loader, Next, Precedence, next};
use burdock::table::{Table, TableName};
use burdock::time::UnixSeconds;
use parking_lot::Mutex;

use crate::process::upgrade::protocol::{Message, read, send_blocks};

/// An heir that reads nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// Who is told of the tables, as long as it listens.
#[derive(Debug)]
pub struct Heir(Mutex<Option<Line>>);

/// The way to it.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    told: Told,
}

/// Whether it has been told all tables.
#[derive(Debug)]
enum Told {
    /// What a predecessor has told of them meanwhile, with its header. To be told afterwards, or what was so before would count.
    Meanwhile(Vec<(Vec<u8>, Vec<u8>)>),
    All,
}

pub type SharedHeir = Arc<Heir>;

impl Heir {
    pub fn shared(stream: UnixStream) -> SharedHeir {
        let told = Told::Meanwhile(Vec::new());
        Arc::new(Self(Mutex::new(stream.set_write_timeout(Some(PATIENCE)).ok().map(|()| Line { stream, told }))))
    }

    /// Tells blocks of the table with this header.
    pub fn blocks(&self, header: &[u8], blocks: &[u8]) {
        self.tell(|line| send_blocks(&mut line.stream, header, blocks));
    }

    /// The same with those that a predecessor tells while all tables are told, or later.
    pub fn hand_on(&self, header: &[u8], blocks: &[u8]) {
        self.tell(|line| match &mut line.told {
            Told::Meanwhile(told) => {
                told.push((header.to_owned(), blocks.to_owned()));
                Ok(())
            }
            Told::All => send_blocks(&mut line.stream, header, blocks),
        });
    }

    /// All tables have been told.
    pub fn complete(&self) {
        self.tell(|line| {
            Message::Complete.send(&mut line.stream)?;
            match std::mem::replace(&mut line.told, Told::All) {
                Told::Meanwhile(told) => {
                    told.iter().try_for_each(|(header, blocks)| send_blocks(&mut line.stream, header, blocks))
                }
                Told::All => Ok(()),
            }
        });
    }

    pub fn is_there(&self) -> bool {
        self.0.lock().is_some()
    }

    fn tell(&self, what: impl FnOnce(&mut Line) -> io::Result<()>) {
        let mut line = self.0.lock();
        if let Some(Err(error)) = line.as_mut().map(what) {
            log::warn!("the new process is told no more of session tables: {error}");
            *line = None;
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
            Message::Hello(_) | Message::Handoff(_) | Message::Prepared | Message::Refused(_) | Message::Serving => {}
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
                | Message::Handoff(_)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_predecessor_tells_while_all_tables_are_told_comes_after_them() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let heir = Heir::shared(ours);
        let header = Header { table: TableName::parse("t").unwrap(), key: FingerprintKeyId(*b"01234567") };
        heir.hand_on(&header.encode(), b"later");
        heir.blocks(&header.encode(), b"all");
        heir.complete();
        heir.hand_on(&header.encode(), b"later still");
        drop(heir);
        let heard = std::iter::from_fn(|| read(&mut theirs).ok()).filter_map(|message| match message {
            Message::Blocks(blocks) => Some(String::from_utf8(blocks).unwrap()),
            Message::Complete => Some("complete".to_owned()),
            Message::Table(_)
            | Message::Hello(_)
            | Message::Handoff(_)
            | Message::Prepared
            | Message::Refused(_)
            | Message::Serving => None,
        });
        assert_eq!(heard.collect::<Vec<_>>(), ["all", "complete", "later", "later still"]);
    }
}
