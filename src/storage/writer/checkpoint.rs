//! A checkpoint: from time to time the whole table is written, piece by piece, which replaces the journals before it. The file is
//! called a snapshot.

use std::fs::File;
use std::io::{self, Write};

use burdock::table::format::Batch;
use burdock::table::{Cursor, Entry, Table};
use burdock::time::UnixSeconds;

use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, SyncJob, What};

/// The pieces written per step.
const PIECES_PER_STEP: usize = 8;
/// Bytes are synced to disk in portions of this size.
const SYNC_CHUNK: u64 = 16 << 20;

/// A checkpoint in progress.
pub struct Checkpoint {
    file: File,
    number: FileNumber,
    stage: Stage,
    /// The sync of the last write. The checkpoint continues when it is complete.
    pending: Option<SyncJob>,
    pub bytes: u64,
    unsynced: u64,
    /// The size of the journals that this checkpoint replaces.
    pub journal_bytes: u64,
}

/// The stage of a checkpoint.
enum Stage {
    /// The table is written from here on.
    Pieces(Cursor),
    /// The whole table is written.
    Written,
    /// It is on disk under its final name.
    Named,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    WaitingForDisk,
    Done,
    /// It has its final name: earlier files are no longer needed.
    Named,
    /// It is complete and on disk.
    Finished,
}

/// Buffers for reuse.
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

    /// Performs the next step.
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
        for _ in 0..PIECES_PER_STEP {
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
            Some(_) if self.unsynced < SYNC_CHUNK => return Ok(()),
            Some(_) => What::Data,
            None => What::Whole,
        };
        self.pending = Some(fsync::put(&self.file, directory, due)?);
        self.unsynced = 0;
        Ok(())
    }
}
