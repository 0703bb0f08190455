//! One server as it is now: what the configuration says of it, and its live state, which outlives configurations.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lock::AtomicU32;
use crate::time::{Now, Uptime};

use super::failover::Cause;
use super::health::Health;
use super::health_state::HealthState;
use super::load::Load;
use super::queue::rank::Rank;
use super::queue::{Queue, Slot, Ticket};
use super::spec::{Admin, ServerSpec, Tier};
use super::weight;
use crate::ids::ServerId;

/// A server of an upstream.
#[derive(Clone, Debug)]
pub struct Server {
    spec: Arc<ServerSpec>,
    live: Arc<Live>,
    queue: Arc<Queue>,
    health_state: Arc<HealthState>,
}

/// What changes between two configurations. It is kept by server id, so a reload carries it over.
#[derive(Debug, Default)]
pub struct Live {
    /// When a request last named it as its session's server or was answered by it, in seconds of uptime and one; 0: never.
    claimed: AtomicU32,
    /// When what the operator wants of it last changed, in milliseconds of uptime.
    admin_changed: AtomicU64,
}

/// What one process leaves to the next of it: what is under way stays.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct LiveHandoff {
    pub claimed: u32,
    #[serde(rename = "wished")]
    pub admin_changed: Option<Uptime>,
}

impl Server {
    pub(super) fn new(spec: Arc<ServerSpec>, live: Arc<Live>, queue: Arc<Queue>, health_state: Arc<HealthState>) -> Self {
        Self { spec, live, queue, health_state }
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

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// What is believed of it.
    pub fn health_state(&self) -> &Arc<HealthState> {
        &self.health_state
    }

    pub fn health(&self) -> Health {
        self.health_state.health()
    }

    pub fn in_flight(&self) -> u32 {
        self.queue.in_flight()
    }

    pub fn weight(&self) -> u32 {
        self.spec.weight.get()
    }

    /// Whether its points are on the hash ring: they stay through outages, so that its keys come back.
    pub(super) fn on_ring(&self, tier: Tier) -> bool {
        self.is_assignable() && self.spec.tier == tier
    }

    /// Whether a session without a tie may start here now. New sessions stop at nine tenths of `max_conns`, which leaves
    /// the rest to those who are tied.
    pub fn takes_new(&self) -> bool {
        self.health() == Health::Up && self.accepts_new_ignoring_health()
    }

    /// The same, but for its health.
    pub(super) fn accepts_new_ignoring_health(&self) -> bool {
        self.is_assignable() && self.has_room(Rank::New)
    }

    /// Whether the operator wants new sessions here.
    pub(super) fn is_assignable(&self) -> bool {
        self.spec.admin == Admin::Ready && self.weight() > 0
    }

    /// Whether a session without a tie may start here as soon as there is room.
    pub(super) fn would_take_new(&self) -> bool {
        self.health() == Health::Up && self.is_assignable()
    }

    /// Whether a newcomer of this rank would get a place now.
    pub(super) fn has_room(&self, rank: Rank) -> bool {
        self.queue.has_room(rank, self.spec.max_conns)
    }

    /// Requests that wait for a place here.
    pub fn waiting(&self) -> u32 {
        self.queue.len()
    }

    /// Takes a place for a session that is tied here.
    ///
    /// # Errors
    /// The cause for which it cannot be served here now.
    pub(super) fn admit_tied(&self, now: Now) -> Result<Slot, Cause> {
        self.serves_tied(now)?;
        self.queue.take(Rank::Tied, self.spec.max_conns).ok_or(Cause::Full)
    }

    pub(super) fn serves_tied(&self, now: Now) -> Result<(), Cause> {
        match (self.spec.admin, self.health()) {
            (Admin::Maint, _) => Err(Cause::Maint),
            (admin, _) if admin.is_over(now.wall) => Err(Cause::Drained),
            (_, Health::Unchecked | Health::Down) => Err(Cause::Down),
            (Admin::Ready | Admin::Drain { .. } | Admin::Leaving { .. }, Health::Up) => Ok(()),
        }
    }

    /// Takes a place for a session that starts here.
    pub(super) fn admit_new(&self) -> Option<Slot> {
        self.queue.take(Rank::New, self.spec.max_conns)
    }

    /// Waits for a place, where fewer than `most` do so already. None where there is no `max_conns`, and so nothing to wait
    /// for.
    pub(super) fn queue_up(&self, rank: Rank, most: u32) -> Option<Ticket> {
        let ticket = self.queue.join(rank, self.spec.max_conns?, most)?;
        // It may have gone down after the last look at it; whoever took it down has seen the queue without this ticket.
        if self.health() != Health::Up {
            self.queue.close(Cause::Down);
        }
        Some(ticket)
    }

    /// What the configuration says of it is in force now, for those too who wait already.
    pub(super) fn in_force(&self, now: Now) {
        self.queue.renew(|rank| {
            self.serves_tied(now)?;
            match rank {
                Rank::New if !self.would_take_new() => Err(Cause::Full),
                Rank::New | Rank::Tied => Ok(self.spec.max_conns),
            }
        });
    }

    /// How long health has been what it is.
    pub fn unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(self.health_state.changed())
    }

    /// How long the operator has wanted of it what is wanted now.
    pub fn admin_unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(Uptime(Duration::from_millis(self.live.admin_changed.load(Relaxed))))
    }

    /// How long it is since its drain was over; zero while it is not.
    pub fn drained_for(&self, now: Now) -> Duration {
        match self.spec.admin {
            Admin::Drain { until: Some(until), .. } | Admin::Leaving { until: Some(until) } => {
                Duration::from_secs(now.wall.since(until).into())
            }
            Admin::Ready | Admin::Maint | Admin::Drain { until: None, .. } | Admin::Leaving { until: None } => {
                Duration::ZERO
            }
        }
    }

    /// How long no session has shown itself that is tied to it; since the start where none ever has. To the second, and never
    /// too long.
    pub fn quiet_for(&self, now: Now) -> Duration {
        now.uptime.since(Uptime(Duration::from_secs(self.live.claimed.load(Relaxed).into())))
    }

    /// What counts of its weight now, in hundredths, where servers grow for so long after they have come up.
    pub(super) fn weight_at(&self, slow_start: Option<Duration>, now: Uptime) -> u64 {
        match (slow_start, self.health_state.up_since()) {
            (Some(over), Some(since)) => weight::ramped(self.weight(), now.since(since), over),
            (Some(_) | None, _) => weight::grown(self.weight()),
        }
    }

    /// Its load for this much of its weight. An idle server has all of it: among idle ones the turn says how much each gets.
    pub(super) fn load(&self, weight: u64) -> Load {
        let in_flight = self.in_flight();
        let weight = if in_flight == 0 { weight::grown(self.weight()) } else { weight };
        Load { requests: u64::from(in_flight), weight }
    }

    /// Its load with those who wait.
    pub(super) fn demand(&self) -> Load {
        let requests = u64::from(self.in_flight()) + u64::from(self.waiting());
        Load { requests, weight: u64::from(self.weight()) }
    }
}

impl Live {
    /// A session that is tied here has shown itself. It is written only once a second, since all requests share the place.
    pub fn claimed(&self, at: Uptime) {
        let second = u32::try_from(at.0.as_secs() + 1).unwrap_or(u32::MAX);
        if self.claimed.load(Relaxed) < second {
            self.claimed.store(second, Relaxed);
        }
    }

    pub(super) fn handoff(&self) -> LiveHandoff {
        let admin_changed = Uptime(Duration::from_millis(self.admin_changed.load(Relaxed)));
        LiveHandoff { claimed: self.claimed.load(Relaxed), admin_changed: Some(admin_changed) }
    }

    pub(super) fn inherit(&self, handoff: &LiveHandoff) {
        self.claimed.store(handoff.claimed, Relaxed);
        if let Some(at) = handoff.admin_changed {
            self.admin_changed(at);
        }
    }

    /// The operator wants something else of it from now on.
    pub(super) fn admin_changed(&self, at: Uptime) {
        self.admin_changed.store(at.0.as_millis() as u64, Relaxed);
    }
}
