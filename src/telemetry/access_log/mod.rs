//! Where access-log lines go: one thread writes them, in batches, from a bounded buffer. A request never waits for the log;
//! lines for which there is no room are dropped and counted.

pub mod format;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use burdock::config::values::{AccessLog as Settings, LogFormat, LogTarget};
use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

/// Lines wait here at most this long.
const PATIENCE: Duration = Duration::from_millis(100);
/// Octets that may wait; then lines are dropped.
const ROOM: usize = 4 * 1024 * 1024;
/// So many are written without waiting any longer.
const BATCH: usize = 256 * 1024;

/// The process's access log.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    format: LogFormat,
    held: Mutex<Held>,
    wake: Condvar,
    written: Condvar,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Held {
    lines: Vec<u8>,
    reopen: bool,
    /// Raised by those who wait until all that is held has been written.
    flush: bool,
    writing: bool,
}

/// What the writing thread writes to.
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
            LogTarget::File(path) => Sink::File(path.clone(), open(path)?),
        };
        let queue = Arc::new(Queue {
            format: settings.format,
            held: Mutex::default(),
            wake: Condvar::new(),
            written: Condvar::new(),
            dropped,
        });
        let for_thread = Arc::clone(&queue);
        std::thread::Builder::new().name("access-log".into()).spawn(move || for_thread.write_all(sink))?;
        Ok(Self(Some(queue)))
    }

    /// The format in which lines are wanted; None when there is no log.
    pub fn format(&self) -> Option<LogFormat> {
        self.0.as_ref().map(|queue| queue.format)
    }

    /// Hands over one line, its end included.
    pub fn push(&self, line: &[u8]) {
        let Some(queue) = &self.0 else { return };
        let mut held = queue.held.lock();
        if held.lines.len() + line.len() > ROOM {
            queue.dropped.inc();
            return;
        }
        let before = held.lines.len();
        held.lines.extend_from_slice(line);
        if before < BATCH && held.lines.len() >= BATCH {
            queue.wake.notify_one();
        }
    }

    /// Opens the file anew, for log rotation.
    pub fn reopen(&self) {
        if let Some(queue) = &self.0 {
            queue.held.lock().reopen = true;
            queue.wake.notify_one();
        }
    }

    /// Waits until every line handed over before has been written, a second at most.
    pub fn flush(&self) {
        let Some(queue) = &self.0 else { return };
        let mut held = queue.held.lock();
        held.flush = true;
        queue.wake.notify_one();
        let _ =
            queue.written.wait_while_for(&mut held, |held| held.writing || !held.lines.is_empty(), Duration::from_secs(1));
    }
}

impl Queue {
    fn write_all(&self, mut sink: Sink) {
        let mut batch = Vec::with_capacity(2 * BATCH);
        loop {
            let mut held = self.held.lock();
            held.writing = false;
            self.written.notify_all();
            if held.lines.len() < BATCH && !held.reopen && !held.flush {
                self.wake.wait_for(&mut held, PATIENCE);
            }
            std::mem::swap(&mut held.lines, &mut batch);
            let reopen = std::mem::take(&mut held.reopen);
            held.flush = false;
            held.writing = true;
            drop(held);
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
            self.dropped.inc_by(batch.iter().filter(|&&octet| octet == b'\n').count() as u64);
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
                Ok(anew) => *file = anew,
                Err(error) => {
                    log::error!("access log: cannot open {} anew, going on with the old file: {error}", path.display())
                }
            }
        }
    }
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_which_there_is_no_room_are_dropped_and_counted() {
        let dropped = IntCounter::new("dropped", "lines").unwrap();
        let (held, wake, written) = (Mutex::default(), Condvar::new(), Condvar::new());
        // Nobody writes, as when a disk hangs.
        let log =
            AccessLog(Some(Arc::new(Queue { format: LogFormat::Text, held, wake, written, dropped: dropped.clone() })));
        let line = vec![b'x'; ROOM / 4];
        (0..7).for_each(|_| log.push(&line));
        assert_eq!(dropped.get(), 3);
    }
}
