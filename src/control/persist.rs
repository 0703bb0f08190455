//! Has what outlives the process written down by a thread of its own: whoever changes something waits for the disk without
//! holding anybody else up, and what many have changed meanwhile is written at once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::control::desired::Desired;
use crate::control::store::{PersistedState, Store, StoreError};

/// Whether a change will outlive the process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Persisted {
    Yes,
    /// It could not be written, for this reason.
    No(String),
}

/// What is wanted until now is on its way to the disk.
#[derive(Debug)]
#[must_use = "until it is persisted, a crash undoes it"]
pub struct WriteAck(Receiver<Persisted>);

/// Where it is asked that what is wanted be written.
#[derive(Debug)]
pub struct Persister {
    asked: Sender<Request>,
    /// Until another process writes no more, nobody listens here.
    idle: Mutex<Option<Idle>>,
}

/// Who is to be told, and of what.
type Request = SyncSender<Persisted>;

/// What the thread will begin with.
#[derive(Debug)]
struct Idle {
    asked: Receiver<Request>,
    desired: Arc<ArcSwap<Desired>>,
    store: Store,
}

impl WriteAck {
    /// Waits until it is on disk, or could not be written.
    pub fn wait(self) -> Persisted {
        self.0.recv().unwrap_or_else(|_| Persisted::nobody())
    }

    /// As [`Self::wait`]; none if that takes longer.
    pub fn wait_for(self, at_most: Duration) -> Option<Persisted> {
        match self.0.recv_timeout(at_most) {
            Ok(persisted) => Some(persisted),
            Err(RecvTimeoutError::Disconnected) => Some(Persisted::nobody()),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Nobody waits for it.
    pub fn leave(self) {}
}

impl Persisted {
    fn nobody() -> Self {
        Self::No("nothing is written any more".to_owned())
    }
}

impl Persister {
    /// Writes from now on what `desired` becomes, which is stored as it is now.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn begin(store: Store, desired: &Arc<ArcSwap<Desired>>) -> io::Result<Self> {
        let (persister, idle) = Self::idle(store, desired);
        let stored = idle.desired.load().persisted();
        idle.begin(move |_| Some(stored))?;
        Ok(persister)
    }

    /// Writes nothing before [`Self::take`], as another process does.
    pub fn after_another(store: Store, desired: &Arc<ArcSwap<Desired>>) -> Self {
        let (persister, idle) = Self::idle(store, desired);
        *persister.idle.lock() = Some(idle);
        persister
    }

    fn idle(store: Store, desired: &Arc<ArcSwap<Desired>>) -> (Self, Idle) {
        let (asked, asks) = mpsc::channel();
        (Self { asked, idle: Mutex::new(None) }, Idle { asked: asks, desired: Arc::clone(desired), store })
    }

    /// The other process writes no more: what is wanted is written if that has something else.
    pub fn take(&self) {
        let Some(idle) = self.idle.lock().take() else { return };
        match idle.begin(|store| store.read().ok()) {
            Ok(()) => self.ask().leave(),
            Err(error) => log::error!("nothing that is changed will outlive the process: cannot start a thread: {error}"),
        }
    }

    /// Asks for what is wanted by now to be on disk.
    pub fn ask(&self) -> WriteAck {
        let (answer, ack) = mpsc::sync_channel(1);
        // Where nobody listens, the other end hears that nobody will answer.
        let _ = self.asked.send(answer);
        WriteAck(ack)
    }
}

impl Idle {
    fn begin(self, stored: impl FnOnce(&Store) -> Option<PersistedState> + Send + 'static) -> io::Result<()> {
        let Self { asked, desired, store } = self;
        let write = move || {
            let stored = stored(&store);
            write_on_request(&asked, stored, || desired.load().persisted(), |wanted| store.write(wanted));
        };
        std::thread::Builder::new().name("changes".into()).spawn(write).map(|_| ())
    }
}

/// Writes what is wanted whenever somebody asks, until nobody can any more. All who have asked by then are answered by one look
/// at what is wanted, and what is `stored` already is not written again.
fn write_on_request(
    asked: &Receiver<Request>,
    mut stored: Option<PersistedState>,
    wanted: impl Fn() -> PersistedState,
    mut write: impl FnMut(&PersistedState) -> Result<(), StoreError>,
) {
    while let Ok(first) = asked.recv() {
        let all: Vec<Request> = std::iter::once(first).chain(asked.try_iter()).collect();
        let persisted = write_if_new(&mut stored, wanted(), &mut write);
        all.iter().for_each(|answer| _ = answer.send(persisted.clone()));
    }
}

fn write_if_new(
    stored: &mut Option<PersistedState>,
    wanted: PersistedState,
    write: &mut impl FnMut(&PersistedState) -> Result<(), StoreError>,
) -> Persisted {
    if stored.as_ref() == Some(&wanted) {
        return Persisted::Yes;
    }
    // Where writing fails in the middle, nobody knows what is there.
    *stored = None;
    match write(&wanted) {
        Ok(()) => {
            *stored = Some(wanted);
            Persisted::Yes
        }
        Err(error) => {
            log::error!("what was changed is in force, but will not outlive the process: {error}");
            Persisted::No(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A disk that writes when it is told to, and how.
    struct Disk {
        asked: Sender<Request>,
        /// What is wanted, as the number of servers on their way out.
        wanted: Arc<Mutex<usize>>,
        begun: Receiver<usize>,
        end: Sender<Result<(), StoreError>>,
    }

    fn persisted(leaving: usize) -> PersistedState {
        let leaving = (0..leaving).map(|n| {
            let text = format!(r#"{{"upstream": "shop", "id": "web-{n}", "address": "127.0.0.1:1", "until": 9}}"#);
            serde_json::from_str(&text).unwrap()
        });
        PersistedState { leaving: leaving.collect(), ..PersistedState::default() }
    }

    fn failure() -> StoreError {
        StoreError::File { path: PathBuf::from("changes.json"), error: io::ErrorKind::StorageFull.into() }
    }

    impl Disk {
        fn with(stored: Option<usize>) -> Self {
            let ((asked, asks), (begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
            let wanted = Arc::new(Mutex::new(0));
            let now = Arc::clone(&wanted);
            std::thread::spawn(move || {
                let write = |wanted: &PersistedState| {
                    begin.send(wanted.leaving.len()).unwrap();
                    ended.recv().unwrap()
                };
                write_on_request(&asks, stored.map(persisted), || persisted(*now.lock()), write);
            });
            Self { asked, wanted, begun, end }
        }

        /// What it begins to write.
        fn begun(&self) -> Option<usize> {
            self.begun.recv_timeout(Duration::from_secs(20)).ok()
        }

        fn ask(&self, wanted: usize) -> WriteAck {
            *self.wanted.lock() = wanted;
            let (answer, ack) = mpsc::sync_channel(1);
            self.asked.send(answer).unwrap();
            WriteAck(ack)
        }
    }

    #[test]
    fn what_is_changed_while_the_disk_writes_is_written_at_once_and_nobody_is_answered_too_early() {
        let disk = Disk::with(Some(0));
        let first = disk.ask(1);
        assert_eq!(disk.begun(), Some(1));
        let others: Vec<WriteAck> = (2..=9).map(|wanted| disk.ask(wanted)).collect();
        // Of what is in force already, too, nobody is told before that is on disk.
        let the_same = disk.ask(9);
        disk.end.send(Ok(())).unwrap();
        assert_eq!(first.wait(), Persisted::Yes);
        assert_eq!(disk.begun(), Some(9));
        assert_eq!(the_same.wait_for(Duration::ZERO), None);
        disk.end.send(Ok(())).unwrap();
        assert!(others.into_iter().all(|other| other.wait() == Persisted::Yes));
        assert!(disk.begun.try_recv().is_err());
    }

    #[test]
    fn what_is_on_disk_is_not_written_again_and_what_failed_is() {
        let disk = Disk::with(Some(3));
        assert_eq!(disk.ask(3).wait(), Persisted::Yes);
        let failing = disk.ask(4);
        assert_eq!(disk.begun(), Some(4));
        disk.end.send(Err(failure())).unwrap();
        assert!(matches!(failing.wait(), Persisted::No(_)));
        for wanted in [4, 3] {
            let ack = disk.ask(wanted);
            assert_eq!(disk.begun(), Some(wanted));
            disk.end.send(if wanted == 4 { Err(failure()) } else { Ok(()) }).unwrap();
            assert_eq!(ack.wait() == Persisted::Yes, wanted == 3);
        }
    }

    #[test]
    fn where_nobody_writes_any_more_nobody_waits_for_it() {
        let disk = Disk::with(None);
        let ack = disk.ask(1);
        // The thread ends with its disk.
        drop(disk);
        assert!(matches!(ack.wait(), Persisted::No(_)));
    }
}
