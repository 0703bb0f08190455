//! A checkpoint: now and then the whole table, piece by piece, which makes the journals before it superfluous. On disk its file is
//! called a snapshot.

use std::fs::File;
use std::io::{self, Write};

use burdock::table::format::Batch;
use burdock::table::{Cursor, Entry, Table};
use burdock::time::UnixSeconds;

use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, SyncJob, What};

/// Pieces that are written in one go.
const PIECES: usize = 8;
/// So many bytes are put on disk at a time.
const STRETCH: u64 = 16 << 20;

/// One that is being written.
pub struct Checkpoint {
    file: File,
    number: FileNumber,
    stage: Stage,
    /// What was written last is on its way to the disk; there is nothing to do before it is there.
    pending: Option<SyncJob>,
    pub bytes: u64,
    unsynced: u64,
    /// What the journals had when it was begun, which it makes superfluous.
    pub journal_bytes: u64,
}

/// How far it is.
enum Stage {
    /// From here on the table is to be written.
    Pieces(Cursor),
    /// All of it is written.
    Written,
    /// It is on disk, and has taken its name.
    Named,
}

/// What a step of it has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    WaitingForDisk,
    Done,
    /// It has its name: nothing that was written before is needed from here on.
    Named,
    /// It is whole and on disk.
    Finished,
}

/// Memory that goes round.
#[derive(Default)]
pub struct Scratch {
    pub batch: Batch,
    pub entries: Vec<Entry>,
}

impl Checkpoint {
    pub fn begin(directory: &TableDirectory, number: FileNumber, header: &[u8], journal_bytes: u64) -> io::Result<Self> {
        let mut file = directory.create(Stored { number, kind: Kind::Unfinished })?;
        file.write_all(header)?;
        let bytes = header.len() as u64;
        let stage = Stage::Pieces(Cursor::default());
        Ok(Self { file, number, stage, pending: None, bytes, unsynced: bytes, journal_bytes })
    }

    /// Does what is next.
    pub fn step(
        &mut self,
        table: &Table,
        directory: &TableDirectory,
        scratch: &mut Scratch,
        now: UnixSeconds,
    ) -> io::Result<Step> {
        if SyncJob::look(&mut self.pending)? == OnDisk::NotYet {
            return Ok(Step::WaitingForDisk);
        }
        match self.stage {
            Stage::Pieces(cursor) => {
                self.write_pieces(cursor, table, directory, scratch, now)?;
                Ok(Step::Done)
            }
            Stage::Written => {
                directory.publish(self.number)?;
                self.pending = Some(fsync::put_names(directory)?);
                self.stage = Stage::Named;
                Ok(Step::Named)
            }
            Stage::Named => {
                directory.remove_before(self.number)?;
                Ok(Step::Finished)
            }
        }
    }

    fn write_pieces(
        &mut self,
        from: Cursor,
        table: &Table,
        directory: &TableDirectory,
        scratch: &mut Scratch,
        now: UnixSeconds,
    ) -> io::Result<()> {
        let Scratch { batch, entries } = scratch;
        let mut next = Some(from);
        for _ in 0..PIECES {
            let Some(cursor) = next else { break };
            entries.clear();
            next = table.export(cursor, now, entries);
            entries.iter().for_each(|entry| batch.tie(entry, table));
        }
        let bytes = batch.finish();
        let written = bytes.len() as u64;
        self.file.write_all(bytes)?;
        batch.clear();
        self.bytes += written;
        self.unsynced += written;
        self.stage = next.map_or(Stage::Written, Stage::Pieces);
        let due = match next {
            Some(_) if self.unsynced < STRETCH => return Ok(()),
            Some(_) => What::Data,
            None => What::Whole,
        };
        self.pending = Some(fsync::put(&self.file, directory, due)?);
        self.unsynced = 0;
        Ok(())
    }
}
