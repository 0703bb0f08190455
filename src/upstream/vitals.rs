//! What is believed of a server, and since when. It is kept by server id, so it outlives configurations; where a new one puts
//! another machine behind the id, or another way of looking at it, it begins anew.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use parking_lot::Mutex;

use crate::time::{Now, Uptime};

use super::health::{CheckSpec, Health, Outcome, Streak, Thresholds};
use super::server::Server;
use super::spec::{Admin, ServerSpec};

/// A server's health. Requests read it without a lock; whoever changes it takes one.
#[derive(Debug)]
pub struct Vitals {
    held: Mutex<Held>,
    /// What follows from `held`.
    health: AtomicU8,
    /// When that last changed, in milliseconds of uptime.
    changed: AtomicU64,
}

/// All from which health follows.
#[derive(Clone, Copy, Debug)]
struct Held {
    belief: Belief,
}

/// What active checks say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Belief {
    /// It has a check that has not run, and it was not in use before: it waits for that.
    Unchecked,
    /// Nobody has looked. It is in use, and the first check, if there comes one, decides.
    Assumed,
    Up,
    Down,
}

impl Vitals {
    /// Those of a server that nobody knew before.
    pub(super) fn new(check: Option<&CheckSpec>) -> Self {
        Self::of(if check.is_some() { Belief::Unchecked } else { Belief::Assumed }, Uptime::default())
    }

    /// Those of a server that `before` was under an earlier configuration: the same, unless its address, or whether it is
    /// checked at all, has changed. What was in use then stays in use until a check says otherwise, and a server that
    /// comes out of maintenance, where it was not checked, waits for its check.
    pub(super) fn after(
        before: &Server,
        had: Option<&CheckSpec>,
        spec: &ServerSpec,
        has: Option<&CheckSpec>,
        now: Now,
    ) -> Arc<Self> {
        let earlier = before.vitals();
        let (was, is) = (before.spec().admin == Admin::Maint, spec.admin == Admin::Maint);
        let same_machine = before.spec().address == spec.address;
        let same_look = had.is_some() == has.is_some() && (has.is_none() || was == is);
        if same_machine && same_look {
            return Arc::clone(earlier);
        }
        let in_use = earlier.health() == Health::Up && !was && !is;
        let belief = if has.is_none() || in_use { Belief::Assumed } else { Belief::Unchecked };
        let changed = if belief.health() == earlier.health() { earlier.changed() } else { now.uptime };
        Arc::new(Self::of(belief, changed))
    }

    fn of(belief: Belief, changed: Uptime) -> Self {
        Self {
            held: Mutex::new(Held { belief }),
            health: AtomicU8::new(encode(belief.health())),
            changed: AtomicU64::new(millis(changed)),
        }
    }

    pub fn health(&self) -> Health {
        decode(self.health.load(Relaxed))
    }

    /// When health became what it is.
    pub(super) fn changed(&self) -> Uptime {
        Uptime(Duration::from_millis(self.changed.load(Relaxed)))
    }

    /// Takes one more outcome of an active check, and tells what health is now if that is something else than before.
    pub fn checked(&self, outcome: Outcome, streak: &mut Streak, thresholds: Thresholds, at: Uptime) -> Option<Health> {
        self.change(at, |held| held.belief = held.belief.after(outcome, streak, thresholds))
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

    fn change(&self, at: Uptime, change: impl FnOnce(&mut Held)) -> Option<Health> {
        let mut held = self.held.lock();
        let before = held.health();
        change(&mut held);
        let after = held.health();
        if after == before {
            return None;
        }
        self.health.store(encode(after), Relaxed);
        self.changed.store(millis(at), Relaxed);
        Some(after)
    }
}

impl Held {
    fn health(self) -> Health {
        self.belief.health()
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

fn encode(health: Health) -> u8 {
    match health {
        Health::Unchecked => 0,
        Health::Up => 1,
        Health::Down => 2,
    }
}

fn decode(stored: u8) -> Health {
    match stored {
        0 => Health::Unchecked,
        1 => Health::Up,
        _ => Health::Down,
    }
}
