//! One server as it is now: what the configuration says of it, and its live state, which outlives configurations.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

use crate::time::{Now, Uptime};

use super::failover::Cause;
use super::health::Health;
use super::name::ServerId;
use super::spec::{Admin, ServerSpec, Tier};

/// A member of an upstream.
#[derive(Clone, Debug)]
pub struct Server {
    spec: Arc<ServerSpec>,
    live: Arc<Live>,
}

/// What changes between two configurations. It is kept by server id, so a reload carries it over.
#[derive(Debug)]
pub struct Live {
    health: AtomicU8,
    /// When health last changed, in milliseconds of uptime.
    changed: AtomicU64,
    in_flight: AtomicU32,
}

/// A request's place at a server: counted in flight until dropped.
#[derive(Debug)]
pub struct Slot(Arc<Live>);

/// Requests in flight for a server's weight, compared without division.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    in_flight: u64,
    weight: u64,
}

impl Server {
    pub(super) fn new(spec: Arc<ServerSpec>, live: Arc<Live>) -> Self {
        Self { spec, live }
    }

    pub fn id(&self) -> &ServerId {
        &self.spec.id
    }

    /// Its name in plain tokens and in routes.
    pub fn route(&self) -> &str {
        self.spec.route.as_ref().unwrap_or(&self.spec.id).as_str()
    }

    pub fn spec(&self) -> &Arc<ServerSpec> {
        &self.spec
    }

    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    pub fn health(&self) -> Health {
        self.live.health()
    }

    pub fn in_flight(&self) -> u32 {
        self.live.in_flight.load(Relaxed)
    }

    pub fn weight(&self) -> u32 {
        self.spec.weight.get()
    }

    /// Whether its points are on the hash ring: they stay through outages, so that its keys come back.
    pub(super) fn on_ring(&self, tier: Tier) -> bool {
        self.spec.admin == Admin::Ready && self.weight() > 0 && self.spec.tier == tier
    }

    /// Whether a session without a tie may start here now. New sessions stop at nine tenths of `max_conns`, which leaves
    /// the rest to those who are tied.
    pub fn takes_new(&self) -> bool {
        let room = self.in_flight() < self.limit_for_new();
        self.spec.admin == Admin::Ready && self.weight() > 0 && self.health() == Health::Up && room
    }

    /// Takes a place for a session that is tied here.
    ///
    /// # Errors
    /// The cause for which it cannot be served here now.
    pub(super) fn admit_tied(&self) -> Result<Slot, Cause> {
        match (self.spec.admin, self.health()) {
            (Admin::Maint, _) => return Err(Cause::Maint),
            (Admin::Ready | Admin::Drain, Health::Unchecked | Health::Down) => return Err(Cause::Down),
            (Admin::Ready | Admin::Drain, Health::Up) => {}
        }
        self.take(self.spec.max_conns.map_or(u32::MAX, std::num::NonZeroU32::get)).ok_or(Cause::Full)
    }

    /// Takes a place for a session that starts here.
    pub(super) fn admit_new(&self) -> Option<Slot> {
        self.take(self.limit_for_new())
    }

    fn limit_for_new(&self) -> u32 {
        self.spec.max_conns.map_or(u32::MAX, |max| max.get() - max.get() / 10)
    }

    /// How long health has been what it is.
    pub fn unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(self.live.changed_at())
    }

    pub(super) fn load(&self) -> Load {
        Load { in_flight: u64::from(self.in_flight()), weight: u64::from(self.weight()) }
    }

    fn take(&self, limit: u32) -> Option<Slot> {
        let room = |in_flight: u32| (in_flight < limit).then_some(in_flight + 1);
        self.live.in_flight.fetch_update(Relaxed, Relaxed, room).ok().map(|_| Slot(Arc::clone(&self.live)))
    }
}

impl Live {
    pub fn new(health: Health) -> Self {
        Self { health: AtomicU8::new(encode(health)), changed: AtomicU64::new(0), in_flight: AtomicU32::new(0) }
    }

    pub fn health(&self) -> Health {
        decode(self.health.load(Relaxed))
    }

    /// Records what is now believed of the server; the moment counts only if that is something else than before.
    pub fn set_health(&self, health: Health, at: Uptime) {
        if self.health.swap(encode(health), Relaxed) != encode(health) {
            self.changed.store(at.0.as_millis() as u64, Relaxed);
        }
    }

    fn changed_at(&self) -> Uptime {
        Uptime(Duration::from_millis(self.changed.load(Relaxed)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Ordering {
        // One more than is there now, so that of two idle servers the heavier one is the less loaded.
        ((self.in_flight + 1) * other.weight).cmp(&((other.in_flight + 1) * self.weight))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Load {}

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
