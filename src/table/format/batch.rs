//! Collects sessions and changes in blocks, to be written.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use super::block;
use super::block::FRAME;
use super::record::{
    FORGOTTEN, FORGOTTEN_BODY, FORGOTTEN_CHANGE, SERVER, TIED, TIED_BODY, TIED_CHANGE, change_byte, class_byte,
};
use crate::session::fingerprint::Fingerprint;
use crate::table::{Change, ChangeKind, Entry, ServerIndex, Table};
use crate::time::UnixSeconds;

/// A block is closed when its payload reaches this size. The last record makes it slightly longer.
const BLOCK: usize = 64 * 1024;

/// Blocks under construction.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// The start of the open block.
    open: Option<usize>,
    /// The servers already in the open block, by their number in the table.
    numbers: HashMap<ServerIndex, u16, rustc_hash::FxBuildHasher>,
}

impl Batch {
    /// Appends a session of `table`. A session whose server the table does not know is skipped.
    pub fn tie(&mut self, entry: &Entry, table: &Table) {
        self.begin();
        if let Some(server) = self.server(entry.session.server, table) {
            self.tied(entry, server, TIED_BODY);
        }
    }

    /// Appends a change of `table` for a peer, which learns its kind and when it was decided.
    pub fn peer_change(&mut self, change: &Change, table: &Table) {
        let at = change.at.0.to_be_bytes();
        self.begin();
        if change.kind == ChangeKind::Forgotten {
            self.forgotten(change.entry.fingerprint, change.at.seconds(), FORGOTTEN_BODY + FORGOTTEN_CHANGE);
            self.bytes.extend(at);
        } else if let Some(server) = self.server(change.entry.session.server, table) {
            self.tied(&change.entry, server, TIED_BODY + TIED_CHANGE);
            self.bytes.push(change_byte(change.kind));
            self.bytes.extend(at);
        }
    }

    fn tied(&mut self, entry: &Entry, server: u16, length: usize) {
        let stamps = entry.session.stamps;
        self.record(TIED, length);
        self.bytes.extend(entry.fingerprint.bytes());
        self.bytes.extend(server.to_be_bytes());
        self.bytes.extend(stamps.issued.0.to_be_bytes());
        self.bytes.extend(stamps.seen.0.to_be_bytes());
        self.bytes.push(class_byte(entry.session.class));
    }

    /// Appends that a session was forgotten. `now` is the time of writing.
    pub fn forget(&mut self, fingerprint: Fingerprint, now: UnixSeconds) {
        self.begin();
        self.forgotten(fingerprint, now, FORGOTTEN_BODY);
    }

    fn forgotten(&mut self, fingerprint: Fingerprint, now: UnixSeconds, length: usize) {
        self.record(FORGOTTEN, length);
        self.bytes.extend(fingerprint.bytes());
        self.bytes.extend(now.0.to_be_bytes());
    }

    /// Appends a change of `table`.
    pub fn change(&mut self, change: &Change, table: &Table, now: UnixSeconds) {
        match change.kind {
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed | ChangeKind::Offered => {
                self.tie(&change.entry, table);
            }
            ChangeKind::Forgotten => self.forget(change.entry.fingerprint, now),
        }
    }

    /// The number of bytes collected.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Closes the open block and returns all blocks.
    pub fn finish(&mut self) -> &[u8] {
        self.close();
        &self.bytes
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.open = None;
        self.numbers.clear();
    }

    /// Ensures that a block is open and has room.
    fn begin(&mut self) {
        if self.open.is_some_and(|begin| self.bytes.len() - begin >= FRAME + BLOCK) {
            self.close();
        }
        if self.open.is_none() {
            self.open = Some(self.bytes.len());
            block::open(&mut self.bytes);
        }
    }

    fn close(&mut self) {
        if let Some(begin) = self.open.take() {
            block::close(&mut self.bytes, begin);
            self.numbers.clear();
        }
    }

    /// The number of a server in the open block, which gets a server record first if it has none.
    fn server(&mut self, index: ServerIndex, table: &Table) -> Option<u16> {
        let number = u16::try_from(self.numbers.len()).ok()?;
        match self.numbers.entry(index) {
            Occupied(known) => Some(*known.get()),
            Vacant(place) => {
                let id = table.server(index)?;
                place.insert(number);
                let id = id.as_str().as_bytes();
                self.record(SERVER, id.len());
                self.bytes.extend(id);
                Some(number)
            }
        }
    }

    /// A record's kind and length. No body is longer than 128 bytes.
    fn record(&mut self, kind: u8, length: usize) {
        self.bytes.extend([kind, u8::try_from(length).unwrap_or(u8::MAX)]);
    }
}
