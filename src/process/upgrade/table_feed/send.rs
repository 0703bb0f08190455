//! The running process's side: subscribes to the tables and sends their changes.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Batch, Header};
use burdock::table::{Change, Cursor, Delivery, Entry, Lost, Subscription, Table};
use parking_lot::{Condvar, Mutex};

use crate::control::state::Follower;
use crate::process::upgrade::protocol::{Message, send_blocks};
use crate::runtime::clock::Clock;

/// A new process that reads nothing for this long counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the process waits for the thread to send all changes so far.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often changes are sent.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How long a response waits until its changes are sent to the new process.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(20);
/// Changes are sent in portions of this size.
const CHUNK: usize = 1 << 20;

/// Sends all tables and their changes to the new process until that ends or this is dropped.
#[derive(Debug)]
pub struct TableFeed(Arc<Shared>);

/// Shared by the thread and its callers.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    delivery: Delivery,
    /// The number of completed passes over all tables.
    passes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    SendingTables,
    Following,
    /// The changes so far are sent, then the thread ends.
    Finishing,
    /// Nothing more is sent.
    Withdrawn,
    Ended,
}

impl TableFeed {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the socket is closed, or the limit of threads is reached.
    pub fn start(stream: UnixStream, tables: &[Arc<Table>], key: FingerprintKeyId, clock: Clock) -> io::Result<Self> {
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let state = State { phase: Phase::SendingTables, delivery: Delivery::Afterwards, passes: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let sender = Sender::new(stream, tables, key, clock);
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("table-feed".into()).spawn(move || sender.run(&for_thread))?;
        Ok(Self(shared))
    }

    /// Whether all tables have been sent within this time.
    pub fn has_sent_tables(&self, at_most: Duration) -> bool {
        self.0.wait_while(|state| state.phase == Phase::SendingTables, at_most) == Phase::Following
    }

    /// Makes responses wait for the new process from now on, and returns when all earlier changes are sent.
    pub fn await_changes(&self) {
        let passes = {
            let mut state = self.0.state.lock();
            state.delivery = Delivery::Awaited { at_most: RESPONSE_TIMEOUT };
            state.passes
        };
        // A pass may already be in progress.
        self.0.wait_while(|state| state.phase == Phase::Following && state.passes < passes + 2, WAIT_TIMEOUT);
    }
}

/// The new process has ended or does not take over. This has no effect if the thread has already ended.
impl Drop for TableFeed {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Withdrawn);
    }
}

impl Follower for TableFeed {
    fn finish(&self) {
        self.0.set_phase(Phase::Finishing);
        self.0.wait_while(|state| state.phase != Phase::Ended, WAIT_TIMEOUT);
    }
}

impl Shared {
    /// A feed that has ended stays so.
    fn set_phase(&self, phase: Phase) {
        let mut state = self.state.lock();
        if state.phase != Phase::Ended {
            state.phase = phase;
        }
        self.changed.notify_all();
    }

    /// Waits while the condition holds, up to the limit, and returns the phase.
    fn wait_while(&self, mut condition: impl FnMut(&State) -> bool, at_most: Duration) -> Phase {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| condition(state), at_most);
        state.phase
    }

    fn is_withdrawn(&self) -> bool {
        self.state.lock().phase == Phase::Withdrawn
    }

    /// The next task, after a pause.
    fn next(&self) -> (Phase, Delivery) {
        let mut state = self.state.lock();
        if state.phase == Phase::Following {
            self.changed.wait_for(&mut state, POLL_INTERVAL);
        }
        (state.phase, state.delivery)
    }

    fn tables_are_sent(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::SendingTables {
            state.phase = Phase::Following;
        }
        self.changed.notify_all();
    }

    fn passed(&self) {
        self.state.lock().passes += 1;
        self.changed.notify_all();
    }
}

/// The thread's own state.
struct Sender {
    stream: UnixStream,
    clock: Clock,
    tables: Vec<Followed>,
    delivery: Delivery,
    changes: Vec<Change>,
    entries: Vec<Entry>,
    batch: Batch,
}

/// A table, with its header as it is sent.
struct Followed {
    feed: Subscription,
    header: Vec<u8>,
}

impl Sender {
    fn new(stream: UnixStream, tables: &[Arc<Table>], key: FingerprintKeyId, clock: Clock) -> Self {
        let followed = |table: &Arc<Table>| Followed {
            feed: Subscription::new(table, Delivery::Afterwards),
            header: Header { table: table.spec().name.clone(), key }.encode(),
        };
        Self {
            stream,
            clock,
            tables: tables.iter().map(followed).collect(),
            delivery: Delivery::Afterwards,
            changes: Vec::new(),
            entries: Vec::new(),
            batch: Batch::default(),
        }
    }

    fn run(mut self, shared: &Shared) {
        if let Err(error) = self.send_tables(shared).and_then(|()| self.follow(shared)) {
            log::warn!("stopped sending session tables to the new process: {error}");
        }
        // Unsubscribe first, so that no response waits for it after it has ended.
        drop(self);
        shared.set_phase(Phase::Ended);
    }

    fn send_tables(&mut self, shared: &Shared) -> io::Result<()> {
        for at in 0..self.tables.len() {
            if shared.is_withdrawn() {
                return Ok(());
            }
            self.send_table(at)?;
        }
        Message::Complete.send(&mut self.stream)?;
        shared.tables_are_sent();
        Ok(())
    }

    fn follow(&mut self, shared: &Shared) -> io::Result<()> {
        loop {
            let (phase, delivery) = shared.next();
            if phase == Phase::Withdrawn {
                return Ok(());
            }
            if self.delivery != delivery {
                self.tables.iter().for_each(|table| table.feed.set_delivery(delivery));
                self.delivery = delivery;
            }
            (0..self.tables.len()).try_for_each(|at| self.send_changes(at))?;
            shared.passed();
            if phase == Phase::Finishing {
                return Ok(());
            }
        }
    }

    /// A round of a table's feed.
    fn send_changes(&mut self, at: usize) -> io::Result<()> {
        let now = self.clock.moment().now().wall;
        let Followed { feed, header } = &self.tables[at];
        let (round, mut whole) = (feed.begin(), true);
        for shard in 0..feed.table().shards() {
            self.changes.clear();
            whole &= feed.drain(shard, &mut self.changes) == Lost::default();
            for change in &self.changes {
                self.batch.change(change, feed.table(), now);
            }
            let last = shard + 1 == feed.table().shards();
            if self.batch.len() >= CHUNK || (last && !self.batch.is_empty()) {
                send_blocks(&mut self.stream, header, self.batch.finish())?;
                self.batch.clear();
            }
        }
        if !whole {
            self.send_table(at)?;
        }
        self.tables[at].feed.complete(round);
        Ok(())
    }

    /// Sends a whole table.
    fn send_table(&mut self, at: usize) -> io::Result<()> {
        let now = self.clock.moment().now().wall;
        let Followed { feed, header } = &self.tables[at];
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            self.entries.clear();
            cursor = feed.table().export(from, now, &mut self.entries);
            self.entries.iter().for_each(|entry| self.batch.tie(entry, feed.table()));
            // An empty table is sent too, so that the new process knows that it is empty.
            if self.batch.len() >= CHUNK || cursor.is_none() {
                send_blocks(&mut self.stream, header, self.batch.finish())?;
                self.batch.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burdock::session::fingerprint::Fingerprint;
    use std::num::NonZeroU32;

    use burdock::ids::ServerId;
    use burdock::session::lifetime::Lifetime;
    use burdock::table::{Budget, Confirmation, Known, Persist, TableName, TableSpec};

    use super::*;
    use crate::process::upgrade::table_feed::receive::{apply, follow, receive};

    const KEY: FingerprintKeyId = FingerprintKeyId(*b"01234567");

    fn table() -> Arc<Table> {
        let name = TableName::parse("t").unwrap();
        let capacity = NonZeroU32::new(1_000).unwrap();
        // Persistence makes no difference here.
        Arc::new(Table::new(TableSpec { name, capacity, lifetime: Lifetime::default(), persist: Persist::Off }))
    }

    fn name(n: u8) -> Fingerprint {
        Fingerprint::from_bytes([n; 16])
    }

    fn tie(table: &Table, n: u8, clock: Clock) {
        let server = table.register(&ServerId::parse("a").unwrap()).unwrap();
        table.tie(name(n), &server, Budget::Within, clock.moment().now().wall);
    }

    fn has(table: &Table, n: u8, clock: Clock) -> bool {
        matches!(table.find(name(n), clock.moment().now().wall), Known::Session(_))
    }

    /// A table filled with everything received until the connection ends.
    fn fed(mut from: UnixStream, clock: Clock) -> Arc<Table> {
        let table = table();
        let filled = receive(&mut from, std::slice::from_ref(&table), KEY, &clock).unwrap();
        assert!(filled.contains(&table.spec().name));
        follow(&mut from, |_, blocks| apply(blocks, &table, clock.moment().now().wall));
        table
    }

    #[test]
    fn a_new_process_receives_all_sessions_and_changes() {
        let (clock, (ours, theirs)) = (Clock::start(), UnixStream::pair().unwrap());
        let running = table();
        (0..100).for_each(|n| tie(&running, n, clock));
        let feed = TableFeed::start(ours, std::slice::from_ref(&running), KEY, clock).unwrap();
        tie(&running, 100, clock);
        let new = std::thread::spawn(move || fed(theirs, clock));
        assert!(feed.has_sent_tables(WAIT_TIMEOUT));
        tie(&running, 101, clock);
        running.forget(name(7), clock.moment().now().wall);
        feed.finish();
        let new = new.join().unwrap();
        let missing: Vec<u8> = (0..102).filter(|n| !has(&new, *n, clock)).collect();
        assert_eq!(missing, [7]);
    }

    #[test]
    fn late_changes_of_a_predecessor_are_passed_on() {
        let clock = Clock::start();
        let ((first, to_second), (second, to_third)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let [oldest, running] = [table(), table()];
        let late = TableFeed::start(first, std::slice::from_ref(&oldest), KEY, clock).unwrap();
        let feed = TableFeed::start(second, std::slice::from_ref(&running), KEY, clock).unwrap();
        let third = std::thread::spawn(move || fed(to_third, clock));
        assert!(feed.has_sent_tables(WAIT_TIMEOUT) && late.has_sent_tables(WAIT_TIMEOUT));
        tie(&oldest, 1, clock);
        late.finish();
        follow(&mut &to_second, |_, blocks| apply(blocks, &running, clock.moment().now().wall));
        feed.finish();
        assert!(has(&third.join().unwrap(), 1, clock));
    }

    #[tokio::test]
    async fn responses_wait_only_from_handover_until_the_feed_ends() {
        let (clock, (ours, theirs)) = (Clock::start(), UnixStream::pair().unwrap());
        let running = table();
        let feed = Arc::new(TableFeed::start(ours, std::slice::from_ref(&running), KEY, clock).unwrap());
        let new = std::thread::spawn(move || fed(theirs, clock));
        assert!(feed.has_sent_tables(WAIT_TIMEOUT));
        assert!(Confirmation::of(&running).is_none());
        feed.await_changes();
        tie(&running, 1, clock);
        tokio::time::timeout(WAIT_TIMEOUT, Confirmation::of(&running).unwrap()).await.unwrap();
        feed.finish();
        assert!(Confirmation::of(&running).is_none());
        assert!(has(&new.join().unwrap(), 1, clock));
    }

    #[test]
    fn a_withdrawn_feed_leaves_no_response_waiting() {
        let (clock, (ours, theirs)) = (Clock::start(), UnixStream::pair().unwrap());
        let running = table();
        let feed = TableFeed::start(ours, std::slice::from_ref(&running), KEY, clock).unwrap();
        assert!(feed.has_sent_tables(WAIT_TIMEOUT));
        feed.await_changes();
        let shared = Arc::clone(&feed.0);
        drop(feed);
        assert_eq!(shared.wait_while(|state| state.phase != Phase::Ended, WAIT_TIMEOUT), Phase::Ended);
        assert!(Confirmation::of(&running).is_none());
        drop(theirs);
    }
}
