//! The access log: one thread writes lines in batches from a bounded buffer. Requests never wait for the log; when the buffer is
//! full, lines are dropped and counted.

pub mod format;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burdock::config::values::{AccessLog as Settings, LogFormat, LogTarget};
use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

use crate::runtime::regular_file;
use crate::runtime::regular_file::Devices;

/// The longest time that a line waits in the buffer.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that the buffer holds; above that lines are dropped.
const CAPACITY: usize = 4 * 1024 * 1024;
/// Bytes that are written without further waiting.
const BATCH: usize = 256 * 1024;

/// The process's access log.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    format: LogFormat,
    buffer: Mutex<Buffer>,
    wake: Condvar,
    written: Condvar,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    reopen: bool,
    /// Set by callers that wait until the buffer is written.
    flush: bool,
    writing: bool,
}

/// The target of the writing thread.
enum Sink {
    Stdout,
    File(PathBuf, File),
}

impl AccessLog {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread not started.
    pub fn start(settings: &Settings, dropped: IntCounter) -> io::Result<Self> {
        let sink = match &settings.to {
            LogTarget::Off => return Ok(Self(None)),
            LogTarget::Stdout => Sink::Stdout,
            LogTarget::File(path) => Sink::File(path.clone(), open(path).map_err(|error| with_path(path, &error))?),
        };
        let queue = Arc::new(Queue {
            format: settings.format,
            buffer: Mutex::default(),
            wake: Condvar::new(),
            written: Condvar::new(),
            dropped,
        });
        let for_thread = Arc::clone(&queue);
        std::thread::Builder::new().name("access-log".into()).spawn(move || for_thread.write_all(sink))?;
        Ok(Self(Some(queue)))
    }

    /// The format of lines; none if there is no log.
    pub fn format(&self) -> Option<LogFormat> {
        self.0.as_ref().map(|queue| queue.format)
    }

    /// Adds one line, including its newline.
    pub fn push(&self, line: &[u8]) {
        let Some(queue) = &self.0 else { return };
        let mut buffer = queue.buffer.lock();
        if buffer.lines.len() + line.len() > CAPACITY {
            queue.dropped.inc();
            return;
        }
        let before = buffer.lines.len();
        buffer.lines.extend_from_slice(line);
        if before < BATCH && buffer.lines.len() >= BATCH {
            queue.wake.notify_one();
        }
    }

    /// Reopens the file, for log rotation.
    pub fn reopen(&self) {
        if let Some(queue) = &self.0 {
            queue.buffer.lock().reopen = true;
            queue.wake.notify_one();
        }
    }

    /// Waits until all lines so far are written, for at most a second.
    pub fn flush(&self) {
        let Some(queue) = &self.0 else { return };
        let mut buffer = queue.buffer.lock();
        buffer.flush = true;
        queue.wake.notify_one();
        let _ = queue.written.wait_while_for(
            &mut buffer,
            |buffer| buffer.writing || !buffer.lines.is_empty(),
            Duration::from_secs(1),
        );
    }
}

impl Queue {
    fn write_all(&self, mut sink: Sink) {
        let mut batch = Vec::with_capacity(2 * BATCH);
        loop {
            let mut buffer = self.buffer.lock();
            buffer.writing = false;
            self.written.notify_all();
            if buffer.lines.len() < BATCH && !buffer.reopen && !buffer.flush {
                self.wake.wait_for(&mut buffer, FLUSH_INTERVAL);
            }
            std::mem::swap(&mut buffer.lines, &mut batch);
            let reopen = std::mem::take(&mut buffer.reopen);
            buffer.flush = false;
            buffer.writing = true;
            drop(buffer);
            self.write(&mut sink, &batch);
            batch.clear();
            if reopen {
                sink.reopen();
            }
        }
    }

    fn write(&self, sink: &mut Sink, batch: &[u8]) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = sink.write(batch) {
            log::error!("access log: {error}");
            self.dropped.inc_by(batch.iter().filter(|&&byte| byte == b'\n').count() as u64);
        }
    }
}

impl Sink {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(batch)?;
                stdout.flush()
            }
            Self::File(_, file) => file.write_all(batch),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(path, file) = self {
            match open(path) {
                Ok(reopened) => *file = reopened,
                Err(error) => {
                    log::error!("access log: cannot reopen {}, continuing with the old file: {error}", path.display())
                }
            }
        }
    }
}

/// Checks what is at the log's path, if anything.
///
/// # Errors
/// If it can be no log.
pub fn check(settings: &Settings) -> io::Result<()> {
    match &settings.to {
        LogTarget::File(path) => regular_file::check(path, Devices::Accepted).map_err(|error| with_path(path, &error)),
        LogTarget::Off | LogTarget::Stdout => Ok(()),
    }
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot write to {}: {error}; set access_log.to to a file or to stdout", path.display()),
    )
}

fn open(path: &Path) -> io::Result<File> {
    regular_file::check(path, Devices::Accepted)?;
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_capacity_are_dropped_and_counted() {
        let dropped = IntCounter::new("dropped", "lines").unwrap();
        let (buffer, wake, written) = (Mutex::default(), Condvar::new(), Condvar::new());
        // No thread writes, as with a stuck disk.
        let log =
            AccessLog(Some(Arc::new(Queue { format: LogFormat::Text, buffer, wake, written, dropped: dropped.clone() })));
        let line = vec![b'x'; CAPACITY / 4];
        (0..7).for_each(|_| log.push(&line));
        assert_eq!(dropped.get(), 3);
    }
}
