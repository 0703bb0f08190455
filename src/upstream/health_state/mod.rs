//! What is believed of a server, and since when. It is kept by server id, so it outlives configurations; where a new one puts
//! another machine behind the id, or another way of looking at it, it starts over.

pub(super) mod handoff;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lock::Mutex;
use crate::time::{Now, Uptime};

use super::failover::Cause;
use super::health::{Condition, Health, Outcome, Streak, Thresholds};
use super::outlier::{Attempt, Ejection, Outlier, OutlierSpec, PassiveFailure, Verdict};
use super::queue::Queue;
use super::spec::{Admin, ServerSpec, UpstreamSpec};

/// A server's health. Requests read it without a lock; whoever changes it takes one.
#[derive(Debug)]
pub struct HealthState {
    /// Who waits there is sent away when it goes down.
    queue: Arc<Queue>,
    held: Mutex<Held>,
    /// The [`Condition`] that follows from `held`.
    condition: AtomicU8,
    /// When health last changed, in milliseconds of uptime.
    changed: AtomicU64,
    /// When it last began to be in use, in milliseconds of uptime; [`NEVER`] where it was so from the start.
    up_since: AtomicU64,
    /// Whether requests have failed here since one was answered.
    has_row: AtomicBool,
}

/// All from which health follows.
#[derive(Clone, Debug)]
struct Held {
    checks: CheckState,
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
enum CheckState {
    /// It has a check that has not run, and it was not in use before: it waits for that.
    #[default]
    Unchecked,
    /// Nobody has looked. It is in use, and the first check, if there comes one, decides.
    Assumed,
    Up,
    Down,
}

/// What the configuration says of a server, and of its upstream.
#[derive(Clone, Copy)]
pub(crate) struct Described<'s> {
    pub(crate) server: &'s ServerSpec,
    pub(crate) upstream: &'s UpstreamSpec,
}

/// What came of the probe of an ejected server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probed {
    /// It is no longer ejected.
    Back(Condition),
    /// It is held for so long again.
    Held(Duration),
}

impl HealthState {
    /// That of a server that nobody knew before.
    pub(crate) fn new(upstream: &UpstreamSpec, origin: Origin, queue: &Arc<Queue>, now: Now) -> Self {
        let checks = if upstream.health_check.is_some() { CheckState::Unchecked } else { CheckState::Assumed };
        let up_since = Some(now.uptime).filter(|_| origin == Origin::Later);
        Self::of(Held { checks, outlier: Outlier::default(), origin }, Uptime::default(), up_since, queue)
    }

    /// That of a server that was there under an earlier configuration: the same, unless its address, whether it is looked at,
    /// or maintenance has changed. What was in use then stays in use until a check says otherwise, and a server that comes
    /// out of maintenance, where it was not checked, waits for its check.
    pub(crate) fn after(earlier: &Arc<Self>, before: Described<'_>, spec: Described<'_>, now: Now) -> Arc<Self> {
        let Held { checks, outlier, .. } = earlier.held.lock().clone();
        let (was, is) = (before.server.admin == Admin::Maint, spec.server.admin == Admin::Maint);
        let (had, has) = (before.upstream.health_check.is_some(), spec.upstream.health_check.is_some());
        let same_address = before.server.address == spec.server.address;
        let same = same_address && had == has && was == is;
        let forgiven = outlier.is_ejected() && spec.upstream.passive_health.is_none();
        let checks = match checks.health() {
            _ if same && !forgiven => return Arc::clone(earlier),
            _ if same => checks,
            Health::Up if !was && !is => CheckState::Assumed,
            Health::Up | Health::Down | Health::Unchecked if has => CheckState::Unchecked,
            Health::Up | Health::Down | Health::Unchecked => CheckState::Assumed,
        };
        let held = Held { checks, outlier: Outlier::default(), origin: Origin::Later };
        let unchanged = held.condition().health() == earlier.health();
        let changed = if unchanged { earlier.changed() } else { now.uptime };
        let the_same = unchanged && !was && same_address;
        let up_since = if the_same { earlier.up_since() } else { Some(now.uptime) };
        Arc::new(Self::of(held, changed, up_since, &earlier.queue))
    }

    fn of(held: Held, changed: Uptime, up_since: Option<Uptime>, queue: &Arc<Queue>) -> Self {
        Self {
            queue: Arc::clone(queue),
            condition: AtomicU8::new(encode(held.condition())),
            changed: AtomicU64::new(millis(changed)),
            up_since: AtomicU64::new(up_since.map_or(NEVER, millis)),
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
    pub(crate) fn up_since(&self) -> Option<Uptime> {
        match self.up_since.load(Relaxed) {
            NEVER => None,
            up_since => Some(Uptime(Duration::from_millis(up_since))),
        }
    }

    /// Takes one more outcome of an active check, and tells what its condition is now if that is another than before.
    pub fn checked(&self, outcome: Outcome, streak: &mut Streak, thresholds: Thresholds, at: Uptime) -> Option<Condition> {
        self.change(at, |held| held.checks = held.checks.after(outcome, streak, thresholds))
    }

    /// Takes one more outcome of an attempt. Some where the server ought to be ejected.
    pub(crate) fn attempted(&self, attempt: Attempt, spec: &OutlierSpec, at: Uptime) -> Option<PassiveFailure> {
        match spec.verdict(attempt) {
            Verdict::Nothing => None,
            Verdict::Good if !self.has_row.load(Relaxed) => None,
            Verdict::Good => {
                let mut held = self.held.lock();
                held.outlier.good();
                self.has_row.store(false, Relaxed);
                None
            }
            Verdict::Bad(failure) => {
                let mut held = self.held.lock();
                self.has_row.store(true, Relaxed);
                held.outlier.bad(spec, at).then_some(failure)
            }
        }
    }

    /// Ejects the server; None where somebody else was faster.
    pub(crate) fn eject(&self, failure: PassiveFailure, spec: &OutlierSpec, at: Uptime) -> Option<Ejection> {
        let mut time = None;
        self.change(at, |held| time = held.outlier.eject(spec, at));
        time.map(|time| Ejection { failure, time })
    }

    /// Takes the outcome of the probe that follows when an ejected server has been held for its time.
    pub fn probed(&self, outcome: Outcome, spec: &OutlierSpec, at: Uptime) -> Probed {
        let mut held = None;
        self.change(at, |this| match outcome {
            Outcome::Passed => this.outlier.back(at),
            Outcome::Failed => held = Some(this.outlier.extend(spec, at)),
        });
        held.map_or_else(|| Probed::Back(self.condition()), Probed::Held)
    }

    /// Records what is believed of the server from now on, whatever its checks say.
    pub fn set(&self, health: Health, at: Uptime) {
        self.change(at, |held| {
            held.checks = match health {
                Health::Unchecked => CheckState::Unchecked,
                Health::Up => CheckState::Up,
                Health::Down => CheckState::Down,
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
            self.up_since.store(millis(at), Relaxed);
        }
        held.origin = Origin::Later;
        drop(held);
        if after != Condition::Up {
            self.queue.close(Cause::Down);
        }
        Some(after)
    }
}

impl Held {
    fn condition(&self) -> Condition {
        match self.checks.health() {
            Health::Unchecked => Condition::Unchecked,
            Health::Down => Condition::Down,
            Health::Up if self.outlier.is_ejected() => Condition::Ejected,
            Health::Up => Condition::Up,
        }
    }
}

impl CheckState {
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
