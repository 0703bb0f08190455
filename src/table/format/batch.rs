//! Sessions and what happened to them, gathered in blocks to be written.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use super::block;
use super::block::FRAME;
use super::record::{FORGOTTEN, FORGOTTEN_BODY, SERVER, TIED, TIED_BODY, class_octet};
use crate::session::fingerprint::Fingerprint;
use crate::table::{Change, ChangeKind, Entry, ServerIndex, Table};
use crate::time::UnixSeconds;

/// A block is closed when its payload has grown to this. The last record makes it a little longer.
const BLOCK: usize = 64 * 1024;

/// Blocks that are being put together.
#[derive(Debug, Default)]
pub struct Batch {
    octets: Vec<u8>,
    /// Where the block begins that is open.
    open: Option<usize>,
    /// Servers that it has told already, by their number in the table.
    told: HashMap<ServerIndex, u16, rustc_hash::FxBuildHasher>,
}

impl Batch {
    /// Appends a session of `table` as it is. One whose server the table does not know is left out.
    pub fn tie(&mut self, entry: &Entry, table: &Table) {
        self.begin();
        let Some(server) = self.server(entry.session.server, table) else { return };
        let stamps = entry.session.stamps;
        self.record(TIED, TIED_BODY);
        self.octets.extend(entry.fingerprint.octets());
        self.octets.extend(server.to_be_bytes());
        self.octets.extend(stamps.issued.0.to_be_bytes());
        self.octets.extend(stamps.seen.0.to_be_bytes());
        self.octets.push(class_octet(entry.session.class));
    }

    /// Appends that a session was forgotten, `now` being when this is written.
    pub fn forget(&mut self, fingerprint: Fingerprint, now: UnixSeconds) {
        self.begin();
        self.record(FORGOTTEN, FORGOTTEN_BODY);
        self.octets.extend(fingerprint.octets());
        self.octets.extend(now.0.to_be_bytes());
    }

    /// Appends what happened in `table`.
    pub fn change(&mut self, change: &Change, table: &Table, now: UnixSeconds) {
        match change.kind {
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Refreshed => self.tie(&change.entry, table),
            ChangeKind::Forgotten => self.forget(change.entry.fingerprint, now),
        }
    }

    /// How much has been gathered.
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// All that has been gathered, in whole blocks.
    pub fn finish(&mut self) -> &[u8] {
        self.close();
        &self.octets
    }

    /// Begins anew, with the memory it has.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.open = None;
        self.told.clear();
    }

    /// Makes sure that a block is open and has room.
    fn begin(&mut self) {
        if self.open.is_some_and(|begin| self.octets.len() - begin >= FRAME + BLOCK) {
            self.close();
        }
        if self.open.is_none() {
            self.open = Some(self.octets.len());
            block::open(&mut self.octets);
        }
    }

    fn close(&mut self) {
        if let Some(begin) = self.open.take() {
            block::close(&mut self.octets, begin);
            self.told.clear();
        }
    }

    /// The number of a server in the open block, which is told of it first.
    fn server(&mut self, index: ServerIndex, table: &Table) -> Option<u16> {
        let number = u16::try_from(self.told.len()).ok()?;
        match self.told.entry(index) {
            Occupied(told) => Some(*told.get()),
            Vacant(place) => {
                let id = table.server(index)?;
                place.insert(number);
                let id = id.as_str().as_bytes();
                self.record(SERVER, id.len());
                self.octets.extend(id);
                Some(number)
            }
        }
    }

    /// A record's kind and length. No body is longer than 128 octets.
    fn record(&mut self, kind: u8, length: usize) {
        self.octets.extend([kind, u8::try_from(length).unwrap_or(u8::MAX)]);
    }
}
