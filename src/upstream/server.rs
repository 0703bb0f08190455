//! A server: its configuration, and its live state, which is kept across configurations.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::lock::AtomicU32;
use crate::time::{Now, Uptime};

use super::answer_counts::{AnswerCounts, StatusClass};
use super::failover::Cause;
use super::health::{Condition, Health};
use super::health_state::HealthState;
use super::last_failure::{FailureCell, FailureHandoff, FailureReason, LastFailure};
use super::load::Load;
use super::queue::rank::Rank;
use super::queue::{Queue, Slot, Ticket};
use super::spec::{Admin, ServerSpec, Tier};
use super::totals::Sum;
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

/// State that changes at run time. It is kept by server id across reloads.
#[derive(Debug, Default)]
pub struct Live {
    /// When a request last named it as its session's server, or was answered by it, in seconds of uptime plus one; 0:
    /// never.
    claimed: AtomicU32,
    /// When the operator last changed its state, in milliseconds of uptime.
    admin_changed: AtomicU64,
    last_failure: FailureCell,
    answers: AnswerCounts,
}

/// The part that an upgrade hands over to the new process: not what is in flight.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct LiveHandoff {
    pub claimed: u32,
    #[serde(rename = "wished")]
    pub admin_changed: Option<Uptime>,
    #[serde(default)]
    pub last_failure: FailureHandoff,
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

    /// Its health.
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

    /// Whether it is on the hash ring. It stays there through outages, so that its keys return to it.
    pub(super) fn on_ring(&self, tier: Tier) -> bool {
        self.is_configured_for_new() && self.spec.tier == tier
    }

    /// Whether a new session may start here now. New sessions get at most nine tenths of `max_conns`; the rest is left
    /// to tied sessions.
    pub fn accepts_new(&self) -> bool {
        self.health() == Health::Up && self.accepts_new_ignoring_health()
    }

    /// The same, regardless of health.
    pub(super) fn accepts_new_ignoring_health(&self) -> bool {
        self.is_assignable() && self.has_room(Rank::New)
    }

    /// Whether the operator, and the server itself, want new sessions here.
    pub(super) fn is_assignable(&self) -> bool {
        self.is_configured_for_new() && self.health_state.condition() != Condition::Draining
    }

    fn is_configured_for_new(&self) -> bool {
        self.spec.admin == Admin::Ready && self.weight() > 0
    }

    /// Whether a new session may start here as soon as there is room.
    pub(super) fn would_accept_new(&self) -> bool {
        self.health() == Health::Up && self.is_assignable()
    }

    /// Whether a request of this rank would get a slot now.
    pub(super) fn has_room(&self, rank: Rank) -> bool {
        self.queue.has_room(rank, self.spec.max_conns)
    }

    /// The limit of requests in flight for new sessions.
    pub(super) fn limit_for_new(&self) -> Option<u32> {
        self.spec.max_conns.map(|max| Rank::New.limit(max))
    }

    /// Requests in its queue.
    pub fn waiting(&self) -> u32 {
        self.queue.len()
    }

    /// Takes a slot for a session that is tied to it.
    ///
    /// # Errors
    /// Why it cannot serve the session now.
    pub(super) fn admit_tied(&self, now: Now) -> Result<Slot, Cause> {
        self.serves_tied(now)?;
        self.queue.take(Rank::Tied, self.spec.max_conns).ok_or(Cause::Full)
    }

    pub(super) fn serves_tied(&self, now: Now) -> Result<(), Cause> {
        match (self.spec.admin, self.health()) {
            (Admin::Maint, _) => Err(Cause::Maint),
            (admin, _) if admin.deadline_passed(now.wall) => Err(Cause::Drained),
            (_, Health::Unchecked | Health::Down) => Err(Cause::Down),
            (Admin::Ready | Admin::Drain { .. } | Admin::Leaving { .. }, Health::Up) => Ok(()),
        }
    }

    /// Takes a slot for a new session.
    pub(super) fn admit_new(&self) -> Option<Slot> {
        self.queue.take(Rank::New, self.spec.max_conns)
    }

    /// Joins the queue, if fewer than `max_length` requests wait. None without `max_conns`, since then there is nothing
    /// to wait for.
    pub(super) fn queue_up(&self, rank: Rank, max_length: u32) -> Option<Ticket> {
        let ticket = self.queue.join(rank, self.spec.max_conns?, max_length)?;
        // The server may have gone down since it was last checked, when its queue was closed without this ticket.
        if self.health() != Health::Up {
            self.queue.close(Cause::Down);
        }
        Some(ticket)
    }

    /// Applies a new configuration to the requests that wait already.
    pub(super) fn in_force(&self, now: Now) {
        self.queue.reconfigure(|rank| {
            self.serves_tied(now)?;
            match rank {
                Rank::New if !self.would_accept_new() => Err(Cause::Full),
                Rank::New | Rank::Tied => Ok(self.spec.max_conns),
            }
        });
    }

    /// How long its health has been the same.
    pub fn unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(self.health_state.changed())
    }

    /// How long its administrative state has been the same.
    pub fn admin_unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(Uptime(Duration::from_millis(self.live.admin_changed.load(Relaxed))))
    }

    /// The time since its drain deadline; zero before it.
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

    /// The time since a request of a session tied to it, or since the start if there was none. To the second, and never
    /// too long.
    pub fn quiet_for(&self, now: Now) -> Duration {
        now.uptime.since(Uptime(Duration::from_secs(self.live.claimed.load(Relaxed).into())))
    }

    /// The last failure there. None if there was none since the server was added.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.live.last_failure.get()
    }

    /// How many answers of this class it gave, as seen by this process.
    pub fn answers(&self, class: StatusClass) -> u64 {
        self.live.answers.get(class)
    }

    /// Its effective weight now, in hundredths, with a slow start of this duration.
    pub(super) fn weight_at(&self, slow_start: Option<Duration>, now: Uptime) -> u64 {
        match (slow_start, self.health_state.up_since()) {
            (Some(over), Some(since)) => weight::ramped(self.weight(), now.since(since), over),
            (Some(_) | None, _) => weight::full(self.weight()),
        }
    }

    /// Its load relative to this effective weight. An idle server counts with its full weight: among idle servers,
    /// round robin divides the requests.
    pub(super) fn load(&self, weight: u64) -> Load {
        let in_flight = self.in_flight();
        let weight = if in_flight == 0 { weight::full(self.weight()) } else { weight };
        Load { requests: u64::from(in_flight), weight }
    }

    /// The sum over servers, for which each is looked at.
    pub(super) fn sum<'s>(servers: impl Iterator<Item = &'s Self>) -> Sum {
        servers.fold(Sum::default(), |sum, server| Sum {
            requests: sum.requests + u64::from(server.in_flight()),
            weights: sum.weights + u64::from(server.weight()),
        })
    }
}

impl Live {
    /// Records a request of a session tied to it. It is written at most once a second, since all requests share the
    /// value.
    pub fn claimed(&self, at: Uptime) {
        let second = u32::try_from(at.0.as_secs() + 1).unwrap_or(u32::MAX);
        if self.claimed.load(Relaxed) < second {
            self.claimed.store(second, Relaxed);
        }
    }

    /// Counts an answer of the server.
    pub(super) fn answered(&self, status: StatusCode) {
        self.answers.add(status);
    }

    /// Records a failure at the server.
    pub fn failed(&self, reason: FailureReason, at: Uptime) {
        self.last_failure.record(reason, at);
    }

    pub(super) fn handoff(&self) -> LiveHandoff {
        let admin_changed = Uptime(Duration::from_millis(self.admin_changed.load(Relaxed)));
        LiveHandoff {
            claimed: self.claimed.load(Relaxed),
            admin_changed: Some(admin_changed),
            last_failure: self.last_failure.handoff(),
        }
    }

    pub(super) fn inherit(&self, handoff: &LiveHandoff) {
        self.claimed.store(handoff.claimed, Relaxed);
        self.last_failure.inherit(handoff.last_failure);
        if let Some(at) = handoff.admin_changed {
            self.admin_changed(at);
        }
    }

    /// Adopts a later request that named the server, at another process.
    pub(super) fn adopt(&self, handoff: &LiveHandoff) {
        self.claimed.fetch_max(handoff.claimed, Relaxed);
    }

    /// Records that the operator changed its state.
    pub(super) fn admin_changed(&self, at: Uptime) {
        self.admin_changed.store(at.0.as_millis() as u64, Relaxed);
    }
}
