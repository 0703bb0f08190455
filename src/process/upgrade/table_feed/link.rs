//! What the two threads of a connection share: the socket to write to, the tables, and how far each side has come. It knows nothing
//! of sessions.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::Header;
use burdock::table::{Confirmation, Delivery, Role, Round, Subscription, Table};
use burdock::time::Uptime;
use parking_lot::{Condvar, Mutex};

use crate::process::upgrade::protocol::{Exchange, Message, send_blocks};
use crate::runtime::clock::Clock;

/// A process that reads nothing for this long counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often changes are sent that no response waits for, and the shortest time between two rounds.
pub const IDLE_INTERVAL: Duration = Duration::from_millis(20);
pub const ROUND_INTERVAL: Duration = Duration::from_millis(1);

const RESPONSE_TIMEOUT: Duration = Duration::from_millis(20);

/// Sends messages to the other process, one at a time.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Mutex<UnixStream>>);

/// A connection to the other process, for the thread that sends and the one that receives. When both have ended, the tables have no
/// subscription for it any more.
#[derive(Clone, Debug)]
pub struct Link {
    pub outbox: Outbox,
    pub exchange: Exchange,
    pub clock: Clock,
    /// How long a response waits until the other process has confirmed its changes.
    pub(super) at_most: Duration,
    pub(super) key: FingerprintKeyId,
    pub(super) tables: Arc<[LinkedTable]>,
    pub(super) progress: Arc<Progress>,
}

/// A table, with its header as it is sent.
#[derive(Debug)]
pub(super) struct LinkedTable {
    pub(super) feed: Subscription,
    pub(super) header: Vec<u8>,
}

/// Whether a message was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    Yes,
    No,
}

/// How far each side has come.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) delivery: Delivery,
    /// Whether a response has begun to wait since the last round.
    pub(super) hurry: bool,
    /// The number of completed rounds over all tables.
    pub(super) rounds: u64,
    /// The round that the other process has not confirmed yet.
    pub(super) open: Option<OpenRound>,
    /// Marks that this process must confirm.
    marks: VecDeque<ReceivedMark>,
}

/// A round over all tables, which the other process confirms by its mark.
#[derive(Debug)]
pub(super) struct OpenRound {
    pub(super) mark: u64,
    pub(super) begun: Uptime,
    pub(super) rounds: Vec<Round>,
}

/// A mark of the other process.
#[derive(Debug)]
struct ReceivedMark {
    number: u64,
    arrived: Uptime,
    /// What other subscribers must confirm first: a third process.
    open: Vec<Confirmation>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    SendingTables,
    Following,
    /// The changes so far are sent, then the thread ends.
    Finishing,
    /// Nothing more is sent.
    Withdrawn,
    Ended,
}

impl Outbox {
    /// # Errors
    /// If the socket is closed.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self(Arc::new(Mutex::new(stream))))
    }

    pub fn send(&self, message: &Message) -> io::Result<()> {
        message.send(&mut *self.0.lock())
    }

    /// Sends a message, unless another one is being sent.
    pub(super) fn try_send(&self, message: &Message) -> Sent {
        match self.0.try_lock().map(|mut stream| message.send(&mut *stream)) {
            Some(Ok(())) => Sent::Yes,
            Some(Err(_)) | None => Sent::No,
        }
    }

    pub(super) fn send_blocks(&self, header: &[u8], blocks: &[u8]) -> io::Result<()> {
        send_blocks(&mut *self.0.lock(), header, blocks)
    }

    /// A reader of the other process's messages.
    ///
    /// # Errors
    /// If the limit of open files is reached.
    pub fn reader(&self) -> io::Result<UnixStream> {
        self.0.lock().try_clone()
    }
}

impl Link {
    /// Subscribes to the tables. `key` is that of their fingerprints.
    pub fn new(outbox: Outbox, exchange: Exchange, tables: &[Arc<Table>], key: FingerprintKeyId, clock: Clock) -> Self {
        let role = match exchange {
            Exchange::BothWays => Role::Peer,
            Exchange::OneWay => Role::Follower,
        };
        let linked = |table: &Arc<Table>| LinkedTable {
            feed: Subscription::with_role(table, role, Delivery::Afterwards),
            header: Header { table: table.spec().name.clone(), key }.encode(),
        };
        let tables: Arc<[LinkedTable]> = tables.iter().map(linked).collect();
        let progress = Arc::new(Progress::new());
        tables.iter().for_each(|table| table.feed.on_hurry(Arc::clone(&progress).into()));
        Self { outbox, exchange, clock, at_most: response_timeout(), key, tables, progress }
    }

    /// Completes a round, and wakes the responses that wait for it.
    pub(super) fn complete(&self, rounds: Vec<Round>) {
        self.tables.iter().zip(rounds).for_each(|(table, round)| table.feed.complete(round));
        self.progress.update(|state| state.rounds += 1);
    }
}

/// A response has begun to wait.
impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.update(|state| state.hurry = true);
    }
}

/// How long a response waits. A test on a busy machine may have more patience.
fn response_timeout() -> Duration {
    let set = std::env::var("BURDOCK_CONFIRM_MILLIS").ok().filter(|_| cfg!(debug_assertions));
    set.and_then(|millis| millis.parse().ok()).map_or(RESPONSE_TIMEOUT, Duration::from_millis)
}

impl Progress {
    fn new() -> Self {
        let state = State {
            phase: Phase::SendingTables,
            delivery: Delivery::Afterwards,
            hurry: false,
            rounds: 0,
            open: None,
            marks: VecDeque::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Changes the state, and wakes all who wait for it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.changed.notify_all();
        result
    }

    /// A thread that has ended stays so.
    pub(super) fn set_phase(&self, phase: Phase) {
        self.update(|state| {
            if state.phase != Phase::Ended {
                state.phase = phase;
            }
        });
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// Waits while the condition holds, up to the limit, and returns the phase.
    pub(super) fn wait_while(&self, mut condition: impl FnMut(&State) -> bool, at_most: Duration) -> Phase {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| condition(state), at_most);
        state.phase
    }

    /// Waits until a round is due, an earlier one is confirmed, or a mark can perhaps be confirmed. `next` is the time until another
    /// round may begin.
    pub(super) fn wait(&self, next: Duration) -> (Phase, Delivery) {
        let mut state = self.state.lock();
        let busy = state.hurry || !state.marks.is_empty();
        let open = if state.open.is_some() || !state.marks.is_empty() { ROUND_INTERVAL } else { Duration::ZERO };
        let pause = if busy { next.max(open) } else { IDLE_INTERVAL };
        if state.phase == Phase::Following && !pause.is_zero() {
            self.changed.wait_for(&mut state, pause);
        }
        (state.phase, state.delivery)
    }

    /// Whether a round may begin now, as the last one is confirmed. Then no response is known to wait until another one does.
    pub(super) fn may_begin(&self) -> bool {
        let mut state = self.state.lock();
        if state.open.is_some() {
            return false;
        }
        state.hurry = false;
        true
    }

    /// A mark of the other process has arrived, after everything before it was applied.
    pub(super) fn mark(&self, number: u64, open: Vec<Confirmation>, arrived: Uptime) {
        self.update(|state| state.marks.push_back(ReceivedMark { number, arrived, open }));
    }

    /// The last mark that can be confirmed now: others have confirmed what came before it, or have taken too long.
    pub(super) fn confirmable(&self, now: Uptime, at_most: Duration) -> Option<u64> {
        let mut state = self.state.lock();
        let mut last = None;
        while let Some(mark) = state.marks.front() {
            if now.since(mark.arrived) < at_most && !mark.open.iter().all(Confirmation::is_ready) {
                break;
            }
            last = state.marks.pop_front().map(|mark| mark.number);
        }
        last
    }
}
