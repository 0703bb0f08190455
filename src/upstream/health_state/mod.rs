//! A server's health, and since when. It is kept by server id across configurations. It starts over if a new
//! configuration changes the server's address or whether it is checked.

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
use super::outlier::{Attempt, Ejection, FailureCount, Outlier, OutlierSpec, PassiveFailure, Verdict};
use super::queue::Queue;
use super::spec::{Admin, ServerSpec, UpstreamSpec};

/// A server's health. Requests read it without a lock; changes take one.
#[derive(Debug)]
pub struct HealthState {
    /// Closed when the server goes down, so that waiting requests go elsewhere.
    queue: Arc<Queue>,
    inner: Mutex<Inner>,
    /// The [`Condition`] that follows from `inner`.
    condition: AtomicU8,
    /// When health last changed, in milliseconds of uptime.
    changed: AtomicU64,
    /// When it last came into use, in milliseconds of uptime; [`NEVER`] if it was in use from the start.
    up_since: AtomicU64,
    /// Whether requests have failed since the last answer.
    has_failures: AtomicBool,
}

/// The state from which health follows.
#[derive(Clone, Debug)]
struct Inner {
    checks: CheckState,
    wish: Wish,
    outlier: Outlier,
    origin: Origin,
}

/// What a server's last passed check asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Wish {
    #[default]
    AllSessions,
    NoNewSessions,
}

/// When a server was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Together with its upstream: no server is older.
    Start,
    Later,
}

const NEVER: u64 = u64::MAX;

/// The result of active checks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum CheckState {
    /// Its first check has not finished, and it was not in use before: it is not used yet.
    #[default]
    Unchecked,
    /// Not checked. It is in use, and the first check, if any, decides.
    Assumed,
    Up,
    Down,
}

/// The configuration of a server and of its upstream.
#[derive(Clone, Copy)]
pub(crate) struct Specs<'s> {
    pub(crate) server: &'s ServerSpec,
    pub(crate) upstream: &'s UpstreamSpec,
}

/// The outcome of probing an ejected server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeOutcome {
    /// The probe passed: the server is no longer ejected.
    Recovered(Condition),
    /// The probe failed: the server stays ejected for this time.
    StillEjected(Duration),
}

impl HealthState {
    /// The health of a new server.
    pub(crate) fn new(upstream: &UpstreamSpec, origin: Origin, queue: &Arc<Queue>, now: Now) -> Self {
        let checks = if upstream.health_check.is_some() { CheckState::Unchecked } else { CheckState::Assumed };
        let up_since = Some(now.uptime).filter(|_| origin == Origin::Later);
        Self::of(
            Inner { checks, wish: Wish::AllSessions, outlier: Outlier::default(), origin },
            Uptime::default(),
            up_since,
            queue,
        )
    }

    /// The health of a server that an earlier configuration had: the same, unless its address, health checks or
    /// maintenance have changed. Then a server in use stays in use until a check fails, and a server that leaves
    /// maintenance, where it was not checked, waits for its first check.
    pub(crate) fn after(earlier: &Arc<Self>, before: Specs<'_>, spec: Specs<'_>, now: Now) -> Arc<Self> {
        let Inner { checks, wish, outlier, .. } = earlier.inner.lock().clone();
        let (was, is) = (before.server.admin == Admin::Maint, spec.server.admin == Admin::Maint);
        let (had, has) = (before.upstream.health_check.is_some(), spec.upstream.health_check.is_some());
        let same_address = before.server.address == spec.server.address;
        let same = same_address && had == has && was == is;
        let ejection_ends = outlier.is_ejected() && spec.upstream.passive_health.is_none();
        let checks = match checks.health() {
            _ if same && !ejection_ends => return Arc::clone(earlier),
            _ if same => checks,
            Health::Up if !was && !is => CheckState::Assumed,
            Health::Up | Health::Down | Health::Unchecked if has => CheckState::Unchecked,
            Health::Up | Health::Down | Health::Unchecked => CheckState::Assumed,
        };
        let wish = if has { wish } else { Wish::AllSessions };
        let inner = Inner { checks, wish, outlier: Outlier::default(), origin: Origin::Later };
        let unchanged = inner.condition().health() == earlier.health();
        let changed = if unchanged { earlier.changed() } else { now.uptime };
        let same_server = unchanged && !was && same_address;
        let up_since = if same_server { earlier.up_since() } else { Some(now.uptime) };
        Arc::new(Self::of(inner, changed, up_since, &earlier.queue))
    }

    fn of(inner: Inner, changed: Uptime, up_since: Option<Uptime>, queue: &Arc<Queue>) -> Self {
        Self {
            queue: Arc::clone(queue),
            condition: AtomicU8::new(encode(inner.condition())),
            changed: AtomicU64::new(millis(changed)),
            up_since: AtomicU64::new(up_since.map_or(NEVER, millis)),
            has_failures: AtomicBool::new(inner.outlier.has_failures()),
            inner: Mutex::new(inner),
        }
    }

    pub fn health(&self) -> Health {
        self.condition().health()
    }

    pub fn condition(&self) -> Condition {
        decode(self.condition.load(Relaxed))
    }

    /// When health last changed.
    pub(crate) fn changed(&self) -> Uptime {
        Uptime(Duration::from_millis(self.changed.load(Relaxed)))
    }

    /// When it came into use, if other servers were in use before.
    pub(crate) fn up_since(&self) -> Option<Uptime> {
        match self.up_since.load(Relaxed) {
            NEVER => None,
            up_since => Some(Uptime(Duration::from_millis(up_since))),
        }
    }

    /// Counts one more outcome of an active check. Returns the new condition if it changed.
    pub fn checked(&self, outcome: Outcome, streak: &mut Streak, thresholds: Thresholds, at: Uptime) -> Option<Condition> {
        self.change(at, |inner| {
            inner.checks = inner.checks.after(outcome, streak, thresholds);
            inner.wish = match outcome {
                Outcome::Passed => Wish::AllSessions,
                Outcome::Draining => Wish::NoNewSessions,
                Outcome::Failed | Outcome::NotRun => inner.wish,
            };
        })
    }

    /// Counts one more outcome of an attempt. Some if the server should be ejected.
    pub(crate) fn attempted(&self, attempt: Attempt, spec: &OutlierSpec, at: Uptime) -> Option<PassiveFailure> {
        match spec.verdict(attempt) {
            Verdict::Nothing => None,
            Verdict::Good if spec.count == FailureCount::InWindow || !self.has_failures.load(Relaxed) => None,
            Verdict::Good => {
                let mut inner = self.inner.lock();
                inner.outlier.good(spec);
                self.has_failures.store(inner.outlier.has_failures(), Relaxed);
                None
            }
            Verdict::Bad(failure) => {
                let mut inner = self.inner.lock();
                self.has_failures.store(true, Relaxed);
                inner.outlier.bad(spec, at).then_some(failure)
            }
        }
    }

    /// Ejects the server. None if another thread was faster.
    pub(crate) fn eject(&self, failure: PassiveFailure, spec: &OutlierSpec, at: Uptime) -> Option<Ejection> {
        let mut time = None;
        self.change(at, |inner| time = inner.outlier.eject(spec, at));
        time.map(|time| Ejection { failure, time })
    }

    /// Applies the outcome of the probe at the end of an ejection.
    pub fn probed(&self, outcome: Outcome, spec: &OutlierSpec, at: Uptime) -> ProbeOutcome {
        let mut extended = None;
        self.change(at, |inner| match outcome {
            Outcome::Passed | Outcome::Draining => inner.outlier.recover(at),
            Outcome::Failed => extended = Some(inner.outlier.extend(spec, at)),
            Outcome::NotRun => extended = Some(inner.outlier.postpone(spec, at)),
        });
        extended.map_or_else(|| ProbeOutcome::Recovered(self.condition()), ProbeOutcome::StillEjected)
    }

    /// Sets the health of the server, regardless of its checks.
    pub fn set(&self, health: Health, at: Uptime) {
        self.change(at, |inner| {
            inner.checks = match health {
                Health::Unchecked => CheckState::Unchecked,
                Health::Up => CheckState::Up,
                Health::Down => CheckState::Down,
            };
        });
    }

    fn change(&self, at: Uptime, change: impl FnOnce(&mut Inner)) -> Option<Condition> {
        let mut inner = self.inner.lock();
        let before = inner.condition();
        change(&mut inner);
        let after = inner.condition();
        self.has_failures.store(inner.outlier.has_failures(), Relaxed);
        if after == before {
            return None;
        }
        self.condition.store(encode(after), Relaxed);
        if after.health() != before.health() {
            self.changed.store(millis(at), Relaxed);
        }
        // At the start all servers come up together, so none needs a slow start.
        let came_up = after.health() == Health::Up && before.health() != Health::Up;
        if came_up && (before, inner.origin) != (Condition::Unchecked, Origin::Start) {
            self.up_since.store(millis(at), Relaxed);
        }
        inner.origin = Origin::Later;
        drop(inner);
        self.queue.health_changed();
        if after.health() != Health::Up {
            self.queue.close(Cause::Down);
        }
        Some(after)
    }
}

impl Inner {
    fn condition(&self) -> Condition {
        match self.checks.health() {
            Health::Unchecked => Condition::Unchecked,
            Health::Down => Condition::Down,
            Health::Up if self.outlier.is_ejected() => Condition::Ejected,
            Health::Up if self.wish == Wish::NoNewSessions => Condition::Draining,
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
        Condition::Draining => 4,
    }
}

fn decode(stored: u8) -> Condition {
    match stored {
        0 => Condition::Unchecked,
        1 => Condition::Up,
        2 => Condition::Down,
        4 => Condition::Draining,
        _ => Condition::Ejected,
    }
}
