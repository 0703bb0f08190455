//! One server as it is now: what the configuration says of it, and its live state, which outlives configurations.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lock::AtomicU32;
use crate::time::{Now, Uptime};

use super::balance;
use super::failover::Cause;
use super::health::Health;
use super::queue::{Queue, Rank, Ticket};
use super::spec::{Admin, ServerSpec, Tier};
use crate::ids::ServerId;
use crate::upstream::health_state::Vitals;

/// A member of an upstream.
#[derive(Clone, Debug)]
pub struct Server {
    spec: Arc<ServerSpec>,
    live: Arc<Live>,
    vitals: Arc<Vitals>,
}

/// What changes between two configurations. It is kept by server id, so a reload carries it over.
#[derive(Debug, Default)]
pub struct Live {
    in_flight: AtomicU32,
    /// When a request last named it as its session's server or was answered by it, in seconds of uptime and one; 0: never.
    claimed: AtomicU32,
    /// When the operator's wish for it last changed, in milliseconds of uptime.
    wished: AtomicU64,
    pub(super) queue: Queue,
}

/// What one process leaves to the next of it: what is under way stays.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct LiveLegacy {
    pub claimed: u32,
    pub wished: Option<Uptime>,
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
    pub(super) fn new(spec: Arc<ServerSpec>, live: Arc<Live>, vitals: Arc<Vitals>) -> Self {
        Self { spec, live, vitals }
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

    /// What is believed of it.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    pub fn health(&self) -> Health {
        self.vitals.health()
    }

    pub fn in_flight(&self) -> u32 {
        self.live.in_flight.load(Relaxed)
    }

    pub fn weight(&self) -> u32 {
        self.spec.weight.get()
    }

    /// Whether its points are on the hash ring: they stay through outages, so that its keys come back.
    pub(super) fn on_ring(&self, tier: Tier) -> bool {
        self.is_for_new() && self.spec.tier == tier
    }

    /// Whether a session without a tie may start here now. New sessions stop at nine tenths of `max_conns`, which leaves
    /// the rest to those who are tied.
    pub fn takes_new(&self) -> bool {
        self.health() == Health::Up && self.takes_new_whatever_its_health()
    }

    /// The same, but for its health.
    pub(super) fn takes_new_whatever_its_health(&self) -> bool {
        self.is_for_new() && self.has_room(Rank::New)
    }

    /// Whether the operator wants new sessions here.
    pub(super) fn is_for_new(&self) -> bool {
        self.spec.admin == Admin::Ready && self.weight() > 0
    }

    /// Whether a session without a tie may start here as soon as there is room.
    pub(super) fn would_take_new(&self) -> bool {
        self.health() == Health::Up && self.is_for_new()
    }

    /// Whether a newcomer of this rank would get a place now.
    pub(super) fn has_room(&self, rank: Rank) -> bool {
        self.spec.max_conns.is_none_or(|max| self.in_flight() < limit(max, rank) && !self.live.queue.is_before(rank))
    }

    /// Requests that wait for a place here.
    pub fn waiting(&self) -> u32 {
        self.live.queue.len()
    }

    /// Takes a place for a session that is tied here.
    ///
    /// # Errors
    /// The cause for which it cannot be served here now.
    pub(super) fn admit_tied(&self, now: Now) -> Result<Slot, Cause> {
        self.serves_tied(now)?;
        self.take(Rank::Tied).ok_or(Cause::Full)
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
        self.take(Rank::New)
    }

    /// Waits for a place, where fewer than `most` do so already. None where there is no `max_conns`, and so nothing to wait
    /// for.
    pub(super) fn queue_up(&self, rank: Rank, most: u32) -> Option<Ticket> {
        let ticket = Queue::join(&self.live, rank, limit(self.spec.max_conns?, rank), most)?;
        // It may have gone down after the last look at it; whoever took it down has seen the queue without this ticket.
        if self.health() != Health::Up {
            self.live.queue.close(Cause::Down);
        }
        Some(ticket)
    }

    /// What the configuration says of it is in force now, for those too who wait already.
    pub(super) fn in_force(&self, now: Now) {
        Queue::renew(&self.live, |rank| {
            self.serves_tied(now)?;
            match rank {
                Rank::New if !self.would_take_new() => Err(Cause::Full),
                Rank::New | Rank::Tied => Ok(self.spec.max_conns.map_or(u32::MAX, |max| limit(max, rank))),
            }
        });
    }

    /// How long health has been what it is.
    pub fn unchanged_for(&self, now: Now) -> Duration {
        now.uptime.since(self.vitals.changed())
    }

    /// How long the operator's wish for it has been what it is.
    pub fn wished_for(&self, now: Now) -> Duration {
        now.uptime.since(Uptime(Duration::from_millis(self.live.wished.load(Relaxed))))
    }

    /// How long it is since its drain was over; zero while it is not.
    pub fn over_for(&self, now: Now) -> Duration {
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
        match (slow_start, self.vitals.risen()) {
            (Some(over), Some(risen)) => balance::ramped(self.weight(), now.since(risen), over),
            (Some(_) | None, _) => balance::grown(self.weight()),
        }
    }

    /// Its load for this much of its weight. An idle server has all of it: among idle ones the turn says how much each gets.
    pub(super) fn load(&self, weight: u64) -> Load {
        let in_flight = self.in_flight();
        let weight = if in_flight == 0 { balance::grown(self.weight()) } else { weight };
        Load { in_flight: u64::from(in_flight), weight }
    }

    /// Its load with those who wait.
    pub(super) fn demand(&self) -> Load {
        let requests = u64::from(self.in_flight()) + u64::from(self.waiting());
        Load { in_flight: requests, weight: u64::from(self.weight()) }
    }

    /// Takes a place, unless others of this rank wait for one.
    fn take(&self, rank: Rank) -> Option<Slot> {
        match self.spec.max_conns {
            None => self.live.take(u32::MAX),
            Some(_) if self.live.queue.is_before(rank) => None,
            Some(max) => self.live.take(limit(max, rank)),
        }
    }
}

impl Live {
    /// Takes a place while fewer than `limit` are taken.
    pub(super) fn take(self: &Arc<Self>, limit: u32) -> Option<Slot> {
        let room = |in_flight: u32| (in_flight < limit).then_some(in_flight + 1);
        self.in_flight.fetch_update(SeqCst, SeqCst, room).ok().map(|_| Slot(Arc::clone(self)))
    }
}

/// How many requests a server may have in flight when one of this rank comes to it.
fn limit(max_conns: NonZeroU32, rank: Rank) -> u32 {
    match rank {
        Rank::Tied => max_conns.get(),
        Rank::New => max_conns.get() - max_conns.get() / 10,
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

    pub(super) fn legacy(&self) -> LiveLegacy {
        let wished = Uptime(Duration::from_millis(self.wished.load(Relaxed)));
        LiveLegacy { claimed: self.claimed.load(Relaxed), wished: Some(wished) }
    }

    pub(super) fn inherit(&self, legacy: &LiveLegacy) {
        self.claimed.store(legacy.claimed, Relaxed);
        legacy.wished.into_iter().for_each(|wished| self.wish_changed(wished));
    }

    /// The operator wants something else of it than before.
    pub(super) fn wish_changed(&self, at: Uptime) {
        self.wished.store(at.0.as_millis() as u64, Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
        if self.0.queue.len() > 0 {
            Queue::advance(&self.0);
        }
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
