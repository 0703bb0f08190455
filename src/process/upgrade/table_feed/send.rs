//! Sends the session tables and their changes to the other process, and confirms what it has sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use burdock::session::clock_steps::StepsHandoff;
use burdock::table::format::Batch;
use burdock::table::{Change, Cursor, Delivery, Entry, Lost};
use burdock::time::Uptime;

use super::link::{Link, LinkedTable, OpenRound, Phase, Progress, ROUND_INTERVAL};
use crate::control::handoff::ProcessHandoff;
use crate::control::state::Follower;
use crate::process::upgrade::protocol::{Exchange, Message};

/// How long the process waits for the thread to send all changes so far.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Changes are sent in portions of this size.
const CHUNK: usize = 1 << 20;
/// The pause between two looks at the state of servers, and how many times longer than a look it is at least.
const STATE_INTERVAL: Duration = Duration::from_millis(100);
const STATE_SHARE: u32 = 20;

/// Sends tables and changes until the other process ends, or this is dropped.
#[derive(Debug)]
pub struct TableFeed {
    link: Outgoing,
}

/// What the owner of the feed needs of its link. It does not hold the subscriptions, which end with the threads.
#[derive(Debug)]
struct Outgoing {
    progress: Arc<Progress>,
    outbox: super::Outbox,
    exchange: Exchange,
    at_most: Duration,
}

/// What is sent first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    /// All tables.
    Tables,
    /// Changes: the other process had the tables first. Responses wait for it from the start.
    Changes,
}

/// Returns the overrides and the state of servers as they are now.
pub type StateSource = Box<dyn Fn() -> ProcessHandoff + Send>;

impl TableFeed {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the limit of threads is reached.
    pub fn start(link: Link, first: First, state: StateSource) -> io::Result<Self> {
        let outgoing = Outgoing {
            progress: Arc::clone(&link.progress),
            outbox: link.outbox.clone(),
            exchange: link.exchange,
            at_most: link.at_most,
        };
        if first == First::Changes {
            link.progress.update(|state| {
                state.phase = Phase::Following;
                state.delivery = Delivery::Awaited { at_most: link.at_most };
            });
        }
        let sender = Sender::new(link, first, state);
        std::thread::Builder::new().name("table-feed".into()).spawn(move || sender.run())?;
        Ok(Self { link: outgoing })
    }

    #[cfg(test)]
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.link.progress
    }

    /// Whether all tables have been sent within this time.
    pub fn has_sent_tables(&self, at_most: Duration) -> bool {
        self.link.progress.wait_while(|state| state.phase == Phase::SendingTables, at_most) == Phase::Following
    }

    /// Makes responses wait for the other process from now on, and returns when it has all earlier changes.
    pub fn await_changes(&self) {
        let rounds = self.link.progress.update(|state| {
            state.delivery = Delivery::Awaited { at_most: self.link.at_most };
            state.rounds
        });
        // A round may already be in progress.
        self.link.progress.wait_while(|state| state.phase == Phase::Following && state.rounds < rounds + 2, WAIT_TIMEOUT);
    }
}

/// This has no effect if the thread has already ended.
impl Drop for TableFeed {
    fn drop(&mut self) {
        self.link.progress.set_phase(Phase::Withdrawn);
    }
}

impl Follower for TableFeed {
    fn idle(&self) {
        if self.link.exchange == Exchange::BothWays {
            // If the other process is gone, it does not need to know.
            let _ = self.link.outbox.send(&Message::Idle);
        }
    }

    fn finish(&self) {
        self.link.progress.set_phase(Phase::Finishing);
        self.link.progress.wait_while(|state| state.phase != Phase::Ended, WAIT_TIMEOUT);
    }
}

/// The thread's own state.
struct Sender {
    link: Link,
    first: First,
    delivery: Delivery,
    last_mark: u64,
    next_round: Uptime,
    changes: Vec<Change>,
    entries: Vec<Entry>,
    batch: Batch,
    state: StateSender,
}

/// Whether a round sent anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    Something,
    Nothing,
}

impl Sender {
    fn new(link: Link, first: First, source: StateSource) -> Self {
        let next = link.clock.uptime();
        Self {
            link,
            first,
            delivery: Delivery::Afterwards,
            last_mark: 0,
            next_round: next,
            changes: Vec::new(),
            entries: Vec::new(),
            batch: Batch::default(),
            state: StateSender { source, sent: None, next },
        }
    }

    fn run(mut self) {
        if let Err(error) = self.send_tables().and_then(|()| self.follow()) {
            log::warn!("stopped sending session tables to the other process: {error}");
        }
        // First, so that no response waits for it after it has ended.
        self.link.tables.iter().for_each(|table| table.feed.mute());
        let progress = Arc::clone(&self.link.progress);
        drop(self);
        progress.set_phase(Phase::Ended);
    }

    fn send_tables(&mut self) -> io::Result<()> {
        if self.first == First::Changes {
            return Ok(());
        }
        for at in 0..self.link.tables.len() {
            if self.link.progress.phase() == Phase::Withdrawn {
                return Ok(());
            }
            self.send_table(at)?;
        }
        self.link.outbox.send(&Message::Complete)?;
        self.link.progress.update(|state| {
            if state.phase == Phase::SendingTables {
                state.phase = Phase::Following;
            }
        });
        Ok(())
    }

    fn follow(&mut self) -> io::Result<()> {
        loop {
            let next = self.next_round.since(self.link.clock.uptime());
            let (phase, delivery) = self.link.progress.wait(next);
            if phase == Phase::Withdrawn {
                return Ok(());
            }
            if self.delivery != delivery {
                self.link.tables.iter().for_each(|table| table.feed.set_delivery(delivery));
                self.delivery = delivery;
            }
            let now = self.link.clock.uptime();
            self.confirm_marks(now)?;
            if phase == Phase::Finishing {
                return self.begin_round(now);
            }
            if now >= self.next_round && self.link.progress.may_begin() {
                self.begin_round(now)?;
                self.send_state(now)?;
            }
        }
    }

    fn confirm_marks(&self, now: Uptime) -> io::Result<()> {
        let confirmable = self.link.progress.confirmable(now, self.link.at_most);
        confirmable.map_or(Ok(()), |mark| self.link.outbox.send(&Message::Ack(mark)))
    }

    /// Sends the changes of all tables.
    fn begin_round(&mut self, now: Uptime) -> io::Result<()> {
        self.next_round = now.plus(ROUND_INTERVAL);
        let (mut rounds, mut sent) = (Vec::with_capacity(self.link.tables.len()), Sent::Nothing);
        for at in 0..self.link.tables.len() {
            rounds.push(self.link.tables[at].feed.begin());
            if self.send_changes(at)? == Sent::Something {
                sent = Sent::Something;
            }
        }
        match (sent, self.link.exchange) {
            (Sent::Something, Exchange::BothWays) => {
                self.last_mark += 1;
                let open = OpenRound { mark: self.last_mark, begun: now, rounds };
                self.link.progress.update(|state| state.open = Some(open));
                self.link.outbox.send(&Message::Mark(self.last_mark))
            }
            (Sent::Nothing, _) | (Sent::Something, Exchange::OneWay) => {
                self.link.complete(rounds);
                Ok(())
            }
        }
    }

    /// Sends a table's changes.
    fn send_changes(&mut self, at: usize) -> io::Result<Sent> {
        let now = self.link.clock.moment().now().wall;
        let LinkedTable { feed, header } = &self.link.tables[at];
        let (mut whole, mut sent) = (true, Sent::Nothing);
        for shard in 0..feed.table().shards() {
            self.changes.clear();
            whole &= feed.drain(shard, &mut self.changes) == Lost::default();
            for change in &self.changes {
                match self.link.exchange {
                    Exchange::BothWays => self.batch.peer_change(change, feed.table()),
                    Exchange::OneWay => self.batch.change(change, feed.table(), now),
                }
            }
            let last = shard + 1 == feed.table().shards();
            if self.batch.len() >= CHUNK || (last && !self.batch.is_empty()) {
                self.link.outbox.send_blocks(header, self.batch.finish())?;
                self.batch.clear();
                sent = Sent::Something;
            }
        }
        if !whole {
            self.send_table(at)?;
            sent = Sent::Something;
        }
        Ok(sent)
    }

    /// Sends a whole table.
    fn send_table(&mut self, at: usize) -> io::Result<()> {
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            cursor = self.collect_piece(at, from);
            // An empty table is sent too, so that the new process knows that it is empty.
            if self.batch.len() >= CHUNK || cursor.is_none() {
                self.link.outbox.send_blocks(&self.link.tables[at].header, self.batch.finish())?;
                self.batch.clear();
            }
        }
        Ok(())
    }

    /// Collects a piece of a table, and returns where the next begins.
    fn collect_piece(&mut self, at: usize, from: Cursor) -> Option<Cursor> {
        let now = self.link.clock.moment().now().wall;
        let feed = &self.link.tables[at].feed;
        match self.link.exchange {
            Exchange::BothWays => {
                self.changes.clear();
                let next = feed.export(from, now, &mut self.changes);
                self.changes.iter().for_each(|change| self.batch.peer_change(change, feed.table()));
                next
            }
            Exchange::OneWay => {
                self.entries.clear();
                let next = feed.table().export(from, now, &mut self.entries);
                self.entries.iter().for_each(|entry| self.batch.tie(entry, feed.table()));
                next
            }
        }
    }

    fn send_state(&mut self, now: Uptime) -> io::Result<()> {
        if self.link.exchange == Exchange::OneWay || now < self.state.next {
            return Ok(());
        }
        let changed = self.state.changed();
        let end = self.link.clock.uptime();
        self.state.next = end.plus(STATE_INTERVAL.max(end.since(now) * STATE_SHARE));
        changed.map_or(Ok(()), |state| self.link.outbox.send(&Message::State(Box::new(state))))
    }
}

/// Sends the state of servers when it has changed.
struct StateSender {
    source: StateSource,
    sent: Option<ProcessHandoff>,
    next: Uptime,
}

impl StateSender {
    /// The state, if it is not the one that was sent last.
    fn changed(&mut self) -> Option<ProcessHandoff> {
        // The other process knows the time, and watches the clocks itself.
        let now = ProcessHandoff { uptime: Uptime::default(), clock_steps: StepsHandoff::default(), ..(self.source)() };
        if self.sent.as_ref() == Some(&now) {
            return None;
        }
        self.sent = Some(now.clone());
        Some(now)
    }
}
