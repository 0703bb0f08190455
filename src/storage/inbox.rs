//! The thread that writes: what it is told to do, one thing after the other, and waiting until that is done. However long the
//! disk takes, whoever waits here waits no longer than he wants to; what he has told is done nevertheless.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use parking_lot::{Condvar, Mutex};

use super::{BREATH, TICK, Tables};
use crate::process::upgrade::table_feed::SharedHeir;
use crate::runtime::clock::Clock;
use crate::storage::worker::{Keeper, Pace};

/// How often it looks whether the disk has done what a snapshot waits for.
const GLANCE: Duration = Duration::from_millis(5);
/// How often an heir is told: a client that is sent away here is back there in no time.
const SHARED_TICK: Duration = Duration::from_millis(1);

/// What the thread and those who tell it what to do have in common.
#[derive(Debug)]
pub struct Shared {
    desk: Mutex<Desk>,
    /// There is something to do.
    told: Condvar,
    /// Something is done.
    done: Condvar,
    /// Who is told what happens.
    heir: Mutex<Option<SharedHeir>>,
    /// The tables have sessions that a predecessor has told late.
    late: AtomicBool,
    clock: Clock,
}

/// What the thread is to do.
#[derive(Debug)]
pub enum Order {
    /// Go on with the tables of a new configuration, and what their names are fingerprinted with.
    Adopt { tables: Tables, key: FingerprintKeyId },
    /// Tell an heir all tables, those among them that are not kept, and from then on what happens.
    Share { heir: SharedHeir, fleeting: Tables, key: FingerprintKeyId },
    /// Forget it.
    Withdraw,
    /// Write no more.
    Release,
}

/// What has become of an order by the time that somebody wanted to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obeyed {
    Yes,
    /// It is still to be done, or nothing is done any more.
    NotYet,
}

#[derive(Debug)]
struct Desk {
    phase: Phase,
    orders: VecDeque<Order>,
    given: u64,
    obeyed: u64,
}

#[derive(Debug)]
enum Phase {
    /// The thread has not been started.
    Ready(Box<Keeper>),
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

impl Shared {
    pub fn new(keeper: Keeper, clock: Clock) -> Self {
        let phase = Phase::Ready(Box::new(keeper));
        Self {
            desk: Mutex::new(Desk { phase, orders: VecDeque::new(), given: 0, obeyed: 0 }),
            told: Condvar::new(),
            done: Condvar::new(),
            heir: Mutex::new(None),
            late: AtomicBool::new(false),
            clock,
        }
    }

    pub fn heir(&self) -> Option<SharedHeir> {
        self.heir.lock().clone()
    }

    pub fn set_heir(&self, heir: Option<SharedHeir>) {
        *self.heir.lock() = heir;
    }

    /// The tables have what no journal has.
    pub fn set_late(&self) {
        self.late.store(true, Relaxed);
    }

    /// Starts the thread, if that has not been done.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn run(self: &Arc<Self>) -> io::Result<()> {
        let mut desk = self.desk.lock();
        let keeper = match std::mem::replace(&mut desk.phase, Phase::Running) {
            Phase::Ready(keeper) => keeper,
            other @ (Phase::Running | Phase::Closing | Phase::Closed) => {
                desk.phase = other;
                return Ok(());
            }
        };
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("sessions".into()).spawn(move || shared.keep(*keeper)).map(|_| ())
    }

    /// Lets something be done behind all that was told before, and waits so long for it.
    pub fn tell(&self, order: Order, patience: Duration) -> Obeyed {
        let mut desk = self.desk.lock();
        match &mut desk.phase {
            Phase::Ready(keeper) => {
                self.obey(keeper, order);
                return Obeyed::Yes;
            }
            Phase::Running => {}
            Phase::Closing | Phase::Closed => return Obeyed::NotYet,
        }
        desk.orders.push_back(order);
        desk.given += 1;
        let place = desk.given;
        self.told.notify_all();
        let waiting = |desk: &mut Desk| desk.obeyed < place && matches!(desk.phase, Phase::Running);
        self.done.wait_while_for(&mut desk, waiting, patience);
        if desk.obeyed < place { Obeyed::NotYet } else { Obeyed::Yes }
    }

    /// Ends it, as the last thing, and waits so long for what has happened until now to be on disk.
    pub fn close(&self, patience: Duration) {
        let mut desk = self.desk.lock();
        match std::mem::replace(&mut desk.phase, Phase::Closing) {
            Phase::Running | Phase::Closing => {
                self.told.notify_all();
                let waiting = |desk: &mut Desk| matches!(desk.phase, Phase::Closing);
                if self.done.wait_while_for(&mut desk, waiting, patience).timed_out() {
                    log::error!("the disk is too slow: the last changes of the session tables may not be on it");
                }
            }
            Phase::Ready(keeper) => {
                keeper.close(self.clock.moment());
                desk.phase = Phase::Closed;
            }
            Phase::Closed => desk.phase = Phase::Closed,
        }
    }

    fn keep(&self, mut keeper: Keeper) {
        let mut pause = Duration::ZERO;
        loop {
            match self.next(pause) {
                Next::Obey(order) => {
                    self.obey(&mut keeper, order);
                    self.desk.lock().obeyed += 1;
                    self.done.notify_all();
                    pause = Duration::ZERO;
                }
                Next::Write => {
                    if self.late.swap(false, Relaxed) {
                        keeper.make_due();
                    }
                    pause = self.pause(keeper.step(self.clock.moment()));
                }
                Next::Close => {
                    keeper.close(self.clock.moment());
                    self.desk.lock().phase = Phase::Closed;
                    self.done.notify_all();
                    return;
                }
            }
        }
    }

    /// What is next, after a pause if there is nothing else to do.
    fn next(&self, pause: Duration) -> Next {
        let mut desk = self.desk.lock();
        if desk.orders.is_empty() && matches!(desk.phase, Phase::Running) && !pause.is_zero() {
            self.told.wait_for(&mut desk, pause);
        }
        if matches!(desk.phase, Phase::Closing) {
            return Next::Close;
        }
        desk.orders.pop_front().map_or(Next::Write, Next::Obey)
    }

    fn obey(&self, keeper: &mut Keeper, order: Order) {
        let moment = self.clock.moment();
        match order {
            Order::Adopt { tables, key } => keeper.adopt(tables, key, &self.clock, moment),
            Order::Share { heir, fleeting, key } => {
                keeper.share(&heir, fleeting, key, moment);
                heir.complete();
            }
            Order::Withdraw => keeper.withdraw(moment),
            Order::Release => keeper.release(moment),
        }
    }

    fn pause(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Busy => BREATH,
            Pace::Waiting => GLANCE,
            Pace::Idle if self.heir.lock().as_ref().is_some_and(|heir| heir.is_there()) => SHARED_TICK,
            Pace::Idle => TICK,
        }
    }
}
