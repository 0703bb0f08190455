//! Saves overrides and leaving servers on a thread of its own. A change waits for the disk without delaying other changes, and
//! changes made during a write are saved together by the next one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::control::desired::Desired;
use crate::control::store::{PersistedState, Store, StoreError};

/// Whether a change will survive a restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Persisted {
    Yes,
    /// It could not be written, for this reason.
    No(String),
}

/// The desired state is on its way to the disk.
#[derive(Debug)]
#[must_use = "until it is persisted, a crash undoes it"]
pub struct WriteAck(Receiver<Persisted>);

/// Requests writes of the desired state.
#[derive(Debug)]
pub struct Persister {
    requests: Sender<Request>,
    /// Whether another process may have written the file.
    foreign: Arc<AtomicBool>,
    /// The thread's state until it starts, while another process writes.
    idle: Mutex<Option<Idle>>,
}

/// Where the outcome of a write goes.
type Request = SyncSender<Persisted>;

/// The state that the thread starts with.
#[derive(Debug)]
struct Idle {
    requests: Receiver<Request>,
    foreign: Arc<AtomicBool>,
    desired: Arc<ArcSwap<Desired>>,
    store: Store,
}

impl WriteAck {
    /// Waits until the state is on disk, or could not be written.
    pub fn wait(self) -> Persisted {
        self.0.recv().unwrap_or_else(|_| Persisted::no_writer())
    }

    /// As [`Self::wait`], at most for `timeout`.
    pub fn wait_for(self, timeout: Duration) -> Option<Persisted> {
        match self.0.recv_timeout(timeout) {
            Ok(persisted) => Some(persisted),
            Err(RecvTimeoutError::Disconnected) => Some(Persisted::no_writer()),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Lets the write finish in the background.
    pub fn detach(self) {}
}

impl Persisted {
    fn no_writer() -> Self {
        Self::No("the writer has stopped".to_owned())
    }
}

impl Persister {
    /// Starts writing changes of `desired`, whose current value is stored already.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn begin(store: Store, desired: &Arc<ArcSwap<Desired>>) -> io::Result<Self> {
        let (persister, idle) = Self::idle(store, desired);
        let stored = idle.desired.load().persisted();
        idle.begin(move |_| Some(stored))?;
        Ok(persister)
    }

    /// Writes nothing before [`Self::take`]: another process still writes.
    pub fn after_another(store: Store, desired: &Arc<ArcSwap<Desired>>) -> Self {
        let (persister, idle) = Self::idle(store, desired);
        *persister.idle.lock() = Some(idle);
        persister
    }

    fn idle(store: Store, desired: &Arc<ArcSwap<Desired>>) -> (Self, Idle) {
        let (sender, receiver) = mpsc::channel();
        let foreign = Arc::new(AtomicBool::new(false));
        let idle = Idle { requests: receiver, foreign: Arc::clone(&foreign), desired: Arc::clone(desired), store };
        (Self { requests: sender, foreign, idle: Mutex::new(None) }, idle)
    }

    /// The other process has stopped writing: starts the thread, which writes the desired state if the file differs.
    pub fn take(&self) {
        let Some(idle) = self.idle.lock().take() else { return };
        match idle.begin(|store| store.read().ok()) {
            Ok(()) => self.ask().detach(),
            Err(error) => log::error!("changes will not survive a restart: cannot start a thread: {error}"),
        }
    }

    /// Writes the file again, whatever another process has written meanwhile.
    pub fn take_back(&self) {
        self.foreign.store(true, SeqCst);
        self.ask().detach();
    }

    /// Requests that the current desired state be written.
    pub fn ask(&self) -> WriteAck {
        let (answer, ack) = mpsc::sync_channel(1);
        // Without a thread the answer's sender is dropped, which the ack reports.
        let _ = self.requests.send(answer);
        WriteAck(ack)
    }
}

impl Idle {
    fn begin(self, stored: impl FnOnce(&Store) -> Option<PersistedState> + Send + 'static) -> io::Result<()> {
        let Self { requests, foreign, desired, store } = self;
        let write = move || {
            let stored = stored(&store);
            let wanted = || desired.load().persisted();
            write_on_request(&requests, stored, &foreign, wanted, |wanted| store.write(wanted));
        };
        std::thread::Builder::new().name("changes".into()).spawn(write).map(|_| ())
    }
}

/// Writes the desired state on request, until all senders are gone. One write answers all requests that have arrived by then, and
/// a state that is `stored` already is not written again, unless the file is `foreign`.
fn write_on_request(
    requests: &Receiver<Request>,
    mut stored: Option<PersistedState>,
    foreign: &AtomicBool,
    wanted: impl Fn() -> PersistedState,
    mut write: impl FnMut(&PersistedState) -> Result<(), StoreError>,
) {
    while let Ok(first) = requests.recv() {
        let all: Vec<Request> = std::iter::once(first).chain(requests.try_iter()).collect();
        if foreign.swap(false, SeqCst) {
            stored = None;
        }
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
    // After a failed write the file's content is unknown.
    *stored = None;
    match write(&wanted) {
        Ok(()) => {
            *stored = Some(wanted);
            Persisted::Yes
        }
        Err(error) => {
            log::error!("changes are in effect, but will not survive a restart: {error}");
            Persisted::No(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A disk under the test's control.
    struct Disk {
        requests: Sender<Request>,
        /// The desired state, as the number of leaving servers.
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
            let ((requests, receiver), (begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
            let wanted = Arc::new(Mutex::new(0));
            let now = Arc::clone(&wanted);
            std::thread::spawn(move || {
                let write = |wanted: &PersistedState| {
                    begin.send(wanted.leaving.len()).unwrap();
                    ended.recv().unwrap()
                };
                let ours = AtomicBool::new(false);
                write_on_request(&receiver, stored.map(persisted), &ours, || persisted(*now.lock()), write);
            });
            Self { requests, wanted, begun, end }
        }

        /// The next state that the thread begins to write.
        fn begun(&self) -> Option<usize> {
            self.begun.recv_timeout(Duration::from_secs(20)).ok()
        }

        fn ask(&self, wanted: usize) -> WriteAck {
            *self.wanted.lock() = wanted;
            let (answer, ack) = mpsc::sync_channel(1);
            self.requests.send(answer).unwrap();
            WriteAck(ack)
        }
    }

    #[test]
    fn changes_during_a_write_share_the_next_write() {
        let disk = Disk::with(Some(0));
        let first = disk.ask(1);
        assert_eq!(disk.begun(), Some(1));
        let others: Vec<WriteAck> = (2..=9).map(|wanted| disk.ask(wanted)).collect();
        // A request for the same state must wait for that write, too.
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
    fn only_failed_or_new_states_are_written() {
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
    fn without_a_writer_waits_end_at_once() {
        let disk = Disk::with(None);
        let ack = disk.ask(1);
        // Ends the thread.
        drop(disk);
        assert!(matches!(ack.wait(), Persisted::No(_)));
    }
}
