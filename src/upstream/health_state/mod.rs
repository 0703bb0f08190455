//! What is believed of a server, and since when. It is kept by server id, so it outlives configurations; where a new one puts
//! another machine behind the id, or another way of looking at it, it begins anew.

mod handoff;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lock::Mutex;
use crate::time::{Now, Uptime};

use super::failover::Cause;
use super::health::{Condition, Health, Outcome, Streak, Thresholds};
use super::outlier::{Attempt, Ejection, Outlier, OutlierSpec, Sign, Word};
use super::server::{Live, Server};
use super::spec::{Admin, ServerSpec, UpstreamSpec};

pub(crate) use crate::upstream::health_state::handoff::VitalsLegacy;

/// A server's health. Requests read it without a lock; whoever changes it takes one.
#[derive(Debug)]
pub struct Vitals {
    /// Who waits there is sent away when it goes down.
    live: Arc<Live>,
    held: Mutex<Held>,
    /// The [`Condition`] that follows from `held`.
    condition: AtomicU8,
    /// When health last changed, in milliseconds of uptime.
    changed: AtomicU64,
    /// When it last began to be in use, in milliseconds of uptime; [`NEVER`] where it was so from the start.
    risen: AtomicU64,
    /// Whether requests have failed here since one was answered.
    has_row: AtomicBool,
}

/// All from which health follows.
#[derive(Clone, Debug)]
struct Held {
    belief: Belief,
    outlier: Outlier,
    origin: Origin,
}

/// When a server was first heard of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// With its upstream: nobody has been here for longer.
    Start,
    Later,
}

const NEVER: u64 = u64::MAX;

/// What active checks say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Belief {
    /// It has a check that has not run, and it was not in use before: it waits for that.
    #[default]
    Unchecked,
    /// Nobody has looked. It is in use, and the first check, if there comes one, decides.
    Assumed,
    Up,
    Down,
}

/// What came of the probe of an ejected server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probed {
    /// It is no longer ejected.
    Back(Condition),
    /// It is held for so long again.
    Held(Duration),
}

impl Vitals {
    /// Those of a server that nobody knew before.
    pub(crate) fn new(upstream: &UpstreamSpec, origin: Origin, live: &Arc<Live>, now: Now) -> Self {
        let belief = if upstream.health_check.is_some() { Belief::Unchecked } else { Belief::Assumed };
        let risen = Some(now.uptime).filter(|_| origin == Origin::Later);
        Self::of(Held { belief, outlier: Outlier::default(), origin }, Uptime::default(), risen, live)
    }

    /// Those of a server that `before` was under an earlier configuration: the same, unless its address, whether it is looked
    /// at, or maintenance has changed. What was in use then stays in use until a check says otherwise, and a server that comes
    /// out of maintenance, where it was not checked, waits for its check.
    pub(crate) fn after(
        before: &Server,
        of: &UpstreamSpec,
        spec: &ServerSpec,
        upstream: &UpstreamSpec,
        now: Now,
    ) -> Arc<Self> {
        let earlier = before.vitals();
        let Held { belief, outlier, .. } = earlier.held.lock().clone();
        let (was, is) = (before.spec().admin == Admin::Maint, spec.admin == Admin::Maint);
        let (had, has) = (of.health_check.is_some(), upstream.health_check.is_some());
        let same = before.spec().address == spec.address && had == has && was == is;
        let forgiven = outlier.is_ejected() && upstream.passive_health.is_none();
        let belief = match belief.health() {
            _ if same && !forgiven => return Arc::clone(earlier),
            _ if same => belief,
            Health::Up if !was && !is => Belief::Assumed,
            Health::Up | Health::Down | Health::Unchecked if has => Belief::Unchecked,
            Health::Up | Health::Down | Health::Unchecked => Belief::Assumed,
        };
        let held = Held { belief, outlier: Outlier::default(), origin: Origin::Later };
        let unchanged = held.condition().health() == earlier.health();
        let changed = if unchanged { earlier.changed() } else { now.uptime };
        let the_same = unchanged && !was && before.spec().address == spec.address;
        let risen = if the_same { earlier.risen() } else { Some(now.uptime) };
        Arc::new(Self::of(held, changed, risen, before.live()))
    }

    fn of(held: Held, changed: Uptime, risen: Option<Uptime>, live: &Arc<Live>) -> Self {
        Self {
            live: Arc::clone(live),
            condition: AtomicU8::new(encode(held.condition())),
            changed: AtomicU64::new(millis(changed)),
            risen: AtomicU64::new(risen.map_or(NEVER, millis)),
            has_row: AtomicBool::new(held.outlier.has_row()),
            held: Mutex::new(held),
        }
    }

    pub fn health(&self) -> Health {
        self.condition().health()
    }

    pub fn condition(&self) -> Condition {
        decode(self.condition.load(Relaxed))
    }

    /// When health became what it is.
    pub(crate) fn changed(&self) -> Uptime {
        Uptime(Duration::from_millis(self.changed.load(Relaxed)))
    }

    /// When it began to be in use, if that was after others.
    pub(crate) fn risen(&self) -> Option<Uptime> {
        match self.risen.load(Relaxed) {
            NEVER => None,
            risen => Some(Uptime(Duration::from_millis(risen))),
        }
    }

    /// Takes one more outcome of an active check, and tells what its condition is now if that is another than before.
    pub fn checked(&self, outcome: Outcome, streak: &mut Streak, thresholds: Thresholds, at: Uptime) -> Option<Condition> {
        self.change(at, |held| held.belief = held.belief.after(outcome, streak, thresholds))
    }

    /// Takes one more outcome of an attempt. Some where the server ought to be ejected.
    pub(crate) fn attempted(&self, attempt: Attempt, spec: &OutlierSpec, at: Uptime) -> Option<Sign> {
        match spec.word(attempt) {
            Word::Nothing => None,
            Word::Good if !self.has_row.load(Relaxed) => None,
            Word::Good => {
                let mut held = self.held.lock();
                held.outlier.good();
                self.has_row.store(false, Relaxed);
                None
            }
            Word::Bad(sign) => {
                let mut held = self.held.lock();
                self.has_row.store(true, Relaxed);
                held.outlier.bad(spec, at).then_some(sign)
            }
        }
    }

    /// Ejects the server; None where somebody else was faster.
    pub(crate) fn eject(&self, sign: Sign, spec: &OutlierSpec, at: Uptime) -> Option<Ejection> {
        let mut hold = None;
        self.change(at, |held| hold = held.outlier.eject(spec, at));
        hold.map(|hold| Ejection { sign, hold })
    }

    /// Takes the outcome of the probe that follows when an ejected server has been held for its time.
    pub fn probed(&self, outcome: Outcome, spec: &OutlierSpec, at: Uptime) -> Probed {
        let mut held = None;
        self.change(at, |this| match outcome {
            Outcome::Passed => this.outlier.back(at),
            Outcome::Failed => held = Some(this.outlier.hold_on(spec, at)),
        });
        held.map_or_else(|| Probed::Back(self.condition()), Probed::Held)
    }

    /// Records what is believed of the server from now on, whatever its checks say.
    pub fn set(&self, health: Health, at: Uptime) {
        self.change(at, |held| {
            held.belief = match health {
                Health::Unchecked => Belief::Unchecked,
                Health::Up => Belief::Up,
                Health::Down => Belief::Down,
            };
        });
    }

    fn change(&self, at: Uptime, change: impl FnOnce(&mut Held)) -> Option<Condition> {
        let mut held = self.held.lock();
        let before = held.condition();
        change(&mut held);
        let after = held.condition();
        self.has_row.store(held.outlier.has_row(), Relaxed);
        if after == before {
            return None;
        }
        self.condition.store(encode(after), Relaxed);
        if after.health() != before.health() {
            self.changed.store(millis(at), Relaxed);
        }
        // At the start all come up together, and none has anything to catch up with.
        if after == Condition::Up && (before, held.origin) != (Condition::Unchecked, Origin::Start) {
            self.risen.store(millis(at), Relaxed);
        }
        held.origin = Origin::Later;
        drop(held);
        if after != Condition::Up {
            self.live.queue.close(Cause::Down);
        }
        Some(after)
    }
}

impl Held {
    fn condition(&self) -> Condition {
        match self.belief.health() {
            Health::Unchecked => Condition::Unchecked,
            Health::Down => Condition::Down,
            Health::Up if self.outlier.is_ejected() => Condition::Ejected,
            Health::Up => Condition::Up,
        }
    }
}

impl Belief {
    fn health(self) -> Health {
        match self {
            Self::Unchecked => Health::Unchecked,
            Self::Assumed | Self::Up => Health::Up,
            Self::Down => Health::Down,
        }
    }

    fn after(self, outcome: Outcome, streak: &mut Streak, thresholds: Thresholds) -> Self {
        let known = match self {
            Self::Unchecked | Self::Assumed => Health::Unchecked,
            Self::Up => Health::Up,
            Self::Down => Health::Down,
        };
        match streak.observe(known, outcome, thresholds) {
            Health::Unchecked => self,
            Health::Up => Self::Up,
            Health::Down => Self::Down,
        }
    }
}

fn millis(uptime: Uptime) -> u64 {
    uptime.0.as_millis() as u64
}

fn encode(condition: Condition) -> u8 {
    match condition {
        Condition::Unchecked => 0,
        Condition::Up => 1,
        Condition::Down => 2,
        Condition::Ejected => 3,
    }
}

fn decode(stored: u8) -> Condition {
    match stored {
        0 => Condition::Unchecked,
        1 => Condition::Up,
        2 => Condition::Down,
        _ => Condition::Ejected,
    }
}
