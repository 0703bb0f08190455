//! The thread that writes: what it is told to do, one thing after the other, and waiting until that is done. However long the
//! disk takes, whoever waits here waits no longer than he wants to; what he has told is done nevertheless.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use parking_lot::{Condvar, Mutex};

use crate::runtime::clock::Clock;
use crate::storage::progress::{DISK_POLL_INTERVAL, PAUSE, POLL_INTERVAL, Progress};
use crate::storage::status::Tables;
use crate::storage::worker::Worker;

/// What the thread and those who tell it what to do have in common.
#[derive(Debug)]
pub struct WorkerThread {
    inbox: Mutex<Inbox>,
    /// There is something to do.
    arrived: Condvar,
    /// Something is done.
    done: Condvar,
    clock: Clock,
}

/// What the thread is to do.
#[derive(Debug)]
pub enum Order {
    /// Go on with the tables of a new configuration, and what their names are fingerprinted with.
    Adopt { tables: Tables, key: FingerprintKeyId },
    /// Write no more.
    Release,
}

/// What has become of an order by the time that somebody wanted to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ack {
    Yes,
    /// It is still to be done, or nothing is done any more.
    NotYet,
}

#[derive(Debug)]
struct Inbox {
    phase: Phase,
    orders: VecDeque<Order>,
    given: u64,
    obeyed: u64,
}

#[derive(Debug)]
enum Phase {
    /// The thread has not been started.
    Ready(Box<Worker>),
    Running,
    Closing,
    Closed,
}

/// What is next.
enum Next {
    Obey(Order),
    Write,
    Close,
}

impl WorkerThread {
    pub fn new(worker: Worker, clock: Clock) -> Self {
        let phase = Phase::Ready(Box::new(worker));
        Self {
            inbox: Mutex::new(Inbox { phase, orders: VecDeque::new(), given: 0, obeyed: 0 }),
            arrived: Condvar::new(),
            done: Condvar::new(),
            clock,
        }
    }

    /// Starts the thread, if that has not been done.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn run(self: &Arc<Self>) -> io::Result<()> {
        let mut inbox = self.inbox.lock();
        let worker = match std::mem::replace(&mut inbox.phase, Phase::Running) {
            Phase::Ready(worker) => worker,
            other @ (Phase::Running | Phase::Closing | Phase::Closed) => {
                inbox.phase = other;
                return Ok(());
            }
        };
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("sessions".into()).spawn(move || shared.work(*worker)).map(|_| ())
    }

    /// Lets something be done behind all that was told before, and waits so long for it.
    pub fn send(&self, order: Order, at_most: Duration) -> Ack {
        let mut inbox = self.inbox.lock();
        match &mut inbox.phase {
            Phase::Ready(worker) => {
                self.obey(worker, order);
                return Ack::Yes;
            }
            Phase::Running => {}
            Phase::Closing | Phase::Closed => return Ack::NotYet,
        }
        inbox.orders.push_back(order);
        inbox.given += 1;
        let place = inbox.given;
        self.arrived.notify_all();
        let waiting = |inbox: &mut Inbox| inbox.obeyed < place && matches!(inbox.phase, Phase::Running);
        self.done.wait_while_for(&mut inbox, waiting, at_most);
        if inbox.obeyed < place { Ack::NotYet } else { Ack::Yes }
    }

    /// Ends it, as the last thing, and waits so long for what has happened until now to be on disk.
    pub fn close(&self, at_most: Duration) {
        let mut inbox = self.inbox.lock();
        match std::mem::replace(&mut inbox.phase, Phase::Closing) {
            Phase::Running | Phase::Closing => {
                self.arrived.notify_all();
                let waiting = |inbox: &mut Inbox| matches!(inbox.phase, Phase::Closing);
                if self.done.wait_while_for(&mut inbox, waiting, at_most).timed_out() {
                    log::error!("the disk is too slow: the last changes of the session tables may not be on it");
                }
            }
            Phase::Ready(worker) => {
                worker.close(self.clock.moment());
                inbox.phase = Phase::Closed;
            }
            Phase::Closed => inbox.phase = Phase::Closed,
        }
    }

    fn work(&self, mut worker: Worker) {
        let mut pause = Duration::ZERO;
        loop {
            match self.next(pause) {
                Next::Obey(order) => {
                    self.obey(&mut worker, order);
                    self.inbox.lock().obeyed += 1;
                    self.done.notify_all();
                    pause = Duration::ZERO;
                }
                Next::Write => {
                    pause = pause_after(worker.step(self.clock.moment()));
                }
                Next::Close => {
                    worker.close(self.clock.moment());
                    self.inbox.lock().phase = Phase::Closed;
                    self.done.notify_all();
                    return;
                }
            }
        }
    }

    /// What is next, after a pause if there is nothing else to do.
    fn next(&self, pause: Duration) -> Next {
        let mut inbox = self.inbox.lock();
        if inbox.orders.is_empty() && matches!(inbox.phase, Phase::Running) && !pause.is_zero() {
            self.arrived.wait_for(&mut inbox, pause);
        }
        if matches!(inbox.phase, Phase::Closing) {
            return Next::Close;
        }
        inbox.orders.pop_front().map_or(Next::Write, Next::Obey)
    }

    fn obey(&self, worker: &mut Worker, order: Order) {
        let moment = self.clock.moment();
        match order {
            Order::Adopt { tables, key } => worker.adopt(tables, key, &self.clock, moment),
            Order::Release => worker.release(moment),
        }
    }
}

fn pause_after(progress: Progress) -> Duration {
    match progress {
        Progress::Busy => PAUSE,
        Progress::WaitingForDisk => DISK_POLL_INTERVAL,
        Progress::Idle => POLL_INTERVAL,
    }
}
