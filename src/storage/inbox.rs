//! The writer thread and its inbox: orders are executed one after the other, and a caller can wait until its order is done. However
//! slow the disk is, a caller waits no longer than its own limit; its order is still executed later.

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

/// Shared by the thread and its callers.
#[derive(Debug)]
pub struct WorkerThread {
    inbox: Mutex<Inbox>,
    /// An order has arrived.
    arrived: Condvar,
    /// An order is done.
    done: Condvar,
    clock: Clock,
}

/// An order to the thread.
#[derive(Debug)]
pub enum Order {
    /// Switch to the tables of a new configuration and to its fingerprint key.
    Adopt { tables: Tables, key: FingerprintKeyId },
    /// Stop writing and release the directory.
    Release,
    /// Take the released directory back and write again.
    TakeBack,
}

/// The state of an order when the wait ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ack {
    Done,
    /// It is still pending, or the thread has ended.
    Pending,
}

#[derive(Debug)]
struct Inbox {
    phase: Phase,
    orders: VecDeque<Order>,
    sent: u64,
    executed: u64,
}

#[derive(Debug)]
enum Phase {
    /// The thread has not been started.
    Ready(Box<Worker>),
    Running,
    Closing,
    Closed,
}

/// The thread's next task.
enum Next {
    Execute(Order),
    Write,
    Close,
}

impl WorkerThread {
    pub fn new(worker: Worker, clock: Clock) -> Self {
        let phase = Phase::Ready(Box::new(worker));
        Self {
            inbox: Mutex::new(Inbox { phase, orders: VecDeque::new(), sent: 0, executed: 0 }),
            arrived: Condvar::new(),
            done: Condvar::new(),
            clock,
        }
    }

    /// Starts the thread, if it is not running yet.
    ///
    /// # Errors
    /// If the limit of threads is reached.
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

    /// Queues an order behind all earlier ones, and waits for it up to this limit.
    pub fn send(&self, order: Order, at_most: Duration) -> Ack {
        let mut inbox = self.inbox.lock();
        match &mut inbox.phase {
            Phase::Ready(worker) => {
                self.execute(worker, order);
                return Ack::Done;
            }
            Phase::Running => {}
            Phase::Closing | Phase::Closed => return Ack::Pending,
        }
        inbox.orders.push_back(order);
        inbox.sent += 1;
        let place = inbox.sent;
        self.arrived.notify_all();
        let waiting = |inbox: &mut Inbox| inbox.executed < place && matches!(inbox.phase, Phase::Running);
        self.done.wait_while_for(&mut inbox, waiting, at_most);
        if inbox.executed < place { Ack::Pending } else { Ack::Done }
    }

    /// Ends the thread, and waits up to this limit until all changes are on disk.
    pub fn close(&self, at_most: Duration) {
        let mut inbox = self.inbox.lock();
        match std::mem::replace(&mut inbox.phase, Phase::Closing) {
            Phase::Running | Phase::Closing => {
                self.arrived.notify_all();
                let waiting = |inbox: &mut Inbox| matches!(inbox.phase, Phase::Closing);
                if self.done.wait_while_for(&mut inbox, waiting, at_most).timed_out() {
                    log::error!("the disk is too slow: the last changes of the session tables may be lost");
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
                Next::Execute(order) => {
                    self.execute(&mut worker, order);
                    self.inbox.lock().executed += 1;
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

    /// Returns the next task, after a pause if the inbox is empty.
    fn next(&self, pause: Duration) -> Next {
        let mut inbox = self.inbox.lock();
        if inbox.orders.is_empty() && matches!(inbox.phase, Phase::Running) && !pause.is_zero() {
            self.arrived.wait_for(&mut inbox, pause);
        }
        if matches!(inbox.phase, Phase::Closing) {
            return Next::Close;
        }
        inbox.orders.pop_front().map_or(Next::Write, Next::Execute)
    }

    fn execute(&self, worker: &mut Worker, order: Order) {
        let moment = self.clock.moment();
        match order {
            Order::Adopt { tables, key } => worker.adopt(tables, key, &self.clock, moment),
            Order::Release => worker.release(moment),
            Order::TakeBack => worker.take_back(moment),
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
