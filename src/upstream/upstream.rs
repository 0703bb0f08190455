//! An upstream with its live state: its servers, and the slots that tied sessions take there. [`super::pick`] places
//! sessions without a tie.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use crate::ids::{ServerId, UpstreamName};
use crate::lock::{Mutex, RwLock};
use crate::time::{Now, Uptime};

use super::attempts::Attempts;
use super::board::Boards;
use super::candidates::{Candidates, Choice, TurnTimes};
use super::failover::Cause;
use super::health::{Condition, Health};
use super::health_state::{HealthState, Origin, Specs};
use super::last_failure::FailureReason;
use super::outlier::{Attempt, Ejection, OutlierSpec, PassiveFailure};
use super::percent::Percent;
use super::queue::rank::Rank;
use super::queue::{Queue, Slot, Ticket};
use super::ring::Ring;
use super::server::{Live, Server};
use super::spec::{Admin, ServerSpec, Tier, UpstreamSpec};
use super::totals::{Share, Sum, Totals};
use super::turns::Notes;
use crate::session::load_factor::LoadFactor;

/// An upstream with its live state. The positions of its servers never change; across configurations servers are
/// identified by id.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
    servers: Box<[Server]>,
    by_id: HashMap<ServerId, usize, rustc_hash::FxBuildHasher>,
    rings: Rings,
    boards: Boards,
    /// Of the configuration in use.
    totals: Arc<Totals>,
    /// Whether the boards get notes: whether this is the configuration in use.
    is_watching: AtomicBool,
    candidates: RwLock<Option<Arc<Candidates>>>,
    /// Where the turns continue if there are no candidates yet.
    start: TurnTimes,
    /// Held while candidates are found.
    finding: Mutex<()>,
    /// Held while deciding whether one more server may be ejected.
    ejecting: Arc<Mutex<()>>,
}

/// The server chosen for a request, and the request's slot there.
#[derive(Debug)]
pub struct Pick {
    /// Position in [`Upstream::servers`].
    pub at: usize,
    pub slot: Slot,
    pub among: Among,
}

/// Which servers were candidates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Among {
    /// Servers that are up.
    Up,
    /// All servers that are ready, because too few are up.
    Ready,
}

/// A server whose queue a request joined.
#[derive(Debug)]
pub struct Queued {
    /// Position in [`Upstream::servers`].
    pub at: usize,
    pub ticket: Ticket,
}

#[derive(Debug)]
struct Rings {
    primary: Ring,
    backup: Ring,
}

impl Upstream {
    /// Makes an upstream from its configuration. Servers that `earlier` has too keep their live state.
    pub fn new(spec: UpstreamSpec, earlier: Option<&Self>, now: Now) -> Self {
        let totals = earlier.map_or_else(Arc::default, |upstream| Arc::clone(&upstream.totals));
        let joined = |server: &Arc<ServerSpec>| joined(server, &spec, (earlier, &totals), now);
        let servers: Box<[Server]> = spec.servers.iter().map(joined).collect();
        let by_id = servers.iter().enumerate().map(|(at, server)| (server.id().clone(), at)).collect();
        let rings = Rings { primary: Ring::build(&servers, Tier::Primary), backup: Ring::build(&servers, Tier::Backup) };
        let ejecting = earlier.map_or_else(Arc::default, |upstream| Arc::clone(&upstream.ejecting));
        let boards = Boards::new(servers.len());
        let start = earlier.map_or_else(TurnTimes::default, Self::turn_times);
        let (is_watching, candidates, finding) = Default::default();
        let new = Self { spec, servers, by_id, rings, boards, totals, is_watching, candidates, start, finding, ejecting };
        if earlier.is_none() {
            new.watch();
        }
        new
    }

    pub fn name(&self) -> &UpstreamName {
        &self.spec.name
    }

    pub fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    pub fn position(&self, id: &ServerId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Whether these are exactly its servers, in any order. `ids` must not contain duplicates.
    pub fn consists_of<'i>(&self, mut ids: impl ExactSizeIterator<Item = &'i ServerId>) -> bool {
        ids.len() == self.servers.len() && ids.all(|id| self.by_id.contains_key(id))
    }

    pub fn find(&self, id: &ServerId) -> Option<&Server> {
        self.position(id).map(|at| &self.servers[at])
    }

    /// Takes a slot at the server that a session is tied to.
    ///
    /// # Errors
    /// Why the server cannot serve the session now; a server given up for this request counts as down.
    pub fn admit_tied(&self, at: usize, attempts: &Attempts, now: Now) -> Result<Pick, Cause> {
        match attempts.given_up(at, self.spec.retry.same_server) {
            Some(cause) => Err(cause),
            None => self.servers[at].admit_tied(now).map(|slot| Pick { at, slot, among: Among::Up }),
        }
    }

    /// Joins the queue of the full server that a session is tied to. None if the queue is full, if the server does not
    /// serve at all, or if it is full only because of `bound`, which has no queue.
    pub fn queue_tied(&self, at: usize, bound: Option<LoadFactor>, attempts: &Attempts, now: Now) -> Option<Queued> {
        let server = &self.servers[at];
        let by_bound = bound.is_some() && server.has_room(Rank::Tied);
        if by_bound || self.given_up(at, attempts) || server.serves_tied(now).is_err() {
            return None;
        }
        server.queue_up(Rank::Tied, self.spec.queue.length).map(|ticket| Queued { at, ticket })
    }

    /// The server that follows this name on the ring, whether or not it can serve now. None if the ring is empty.
    pub fn home(&self, name: &[u8]) -> Option<usize> {
        let first = |ring: &Ring| ring.walk(name).next();
        first(&self.rings.primary).or_else(|| first(&self.rings.backup))
    }

    /// Takes a slot at the home server of a hashed session, which counts as full if its load is above `bound`.
    ///
    /// # Errors
    /// As for [`Self::admit_tied`].
    pub fn admit_home(&self, at: usize, bound: Option<LoadFactor>, attempts: &Attempts, now: Now) -> Result<Pick, Cause> {
        let pick = self.admit_tied(at, attempts, now)?;
        let Some(bound) = bound else { return Ok(pick) };
        // Without the slot just taken.
        let serving = self.sum_of_serving(now.uptime).without(Sum { requests: 1, weights: 0 });
        let before = self.servers[at].in_flight().saturating_sub(1);
        let is_within = bound.admits(before, self.servers[at].weight(), serving.requests, serving.weights);
        if is_within { Ok(pick) } else { Err(Cause::Full) }
    }

    /// The sum of the servers that serve sessions.
    fn sum_of_serving(&self, now: Uptime) -> Sum {
        let is_watching = self.is_watching.load(SeqCst);
        if is_watching && let Some(totals) = &self.candidates(now).of(Tier::Primary).totals {
            return totals.serving();
        }
        self.ask_for_totals();
        Server::sum(self.servers.iter().filter(|server| server.health() == Health::Up && server.weight() > 0))
    }

    /// A request needs the sums: from the next candidates on they are kept.
    pub(super) fn ask_for_totals(&self) {
        if self.is_watching.load(SeqCst) && self.totals.ask() {
            self.boards.of(Tier::Primary).health_changed();
        }
    }

    /// Records how an attempt at the server at this position ended. Some if this ejected the server.
    pub fn attempted(&self, at: usize, attempt: Attempt, now: Uptime) -> Option<Ejection> {
        let live = self.servers[at].live();
        if let Attempt::Answered(status) = attempt {
            live.answered(status);
        }
        if let Some(reason) = FailureReason::of(attempt) {
            live.failed(reason, now);
        }
        let spec = self.spec.passive_health.as_ref()?;
        let state = self.servers[at].health_state();
        let failure = state.attempted(attempt, spec, now)?;
        let _one_at_a_time = self.ejecting.lock();
        if self.may_eject_one(spec.max_ejected) { state.eject(failure, spec, now) } else { None }
    }

    /// Whether anything watches what its servers answer: checks, or the outcomes of requests. Failed connections alone say
    /// nothing of answers.
    pub fn watches_answers(&self) -> bool {
        let counts_answers = |spec: &OutlierSpec| spec.on.iter().any(|failure| *failure != PassiveFailure::Connect);
        self.spec.health_check.is_some() || self.spec.passive_health.as_ref().is_some_and(counts_answers)
    }

    /// Whether one more server may be ejected. The percentage is of the servers that are not in maintenance and whose
    /// checks pass.
    fn may_eject_one(&self, max: Percent) -> bool {
        let in_use = self.servers.iter().filter(|server| server.spec().admin != Admin::Maint);
        let (mut ejected, mut all) = (0, 0);
        for condition in in_use.map(|server| server.health_state().condition()) {
            match condition {
                Condition::Unchecked | Condition::Down => {}
                Condition::Up | Condition::Draining => all += 1,
                Condition::Ejected => (ejected, all) = (ejected + 1, all + 1),
            }
        }
        ejected < max.of(all)
    }

    /// The ring of a tier.
    pub(super) fn ring(&self, tier: Tier) -> &Ring {
        match tier {
            Tier::Primary => &self.rings.primary,
            Tier::Backup => &self.rings.backup,
        }
    }

    /// The servers that may get new sessions now. While one request finds new ones, others use the last.
    pub(super) fn candidates(&self, now: Uptime) -> Arc<Candidates> {
        let last = self.last_candidates();
        if let Some(current) = last.as_ref().filter(|last| last.are_current(&self.boards, now)) {
            return Arc::clone(current);
        }
        let found = self.finding.try_lock().and_then(|_finding| self.find_candidates(now));
        // Without notes these are true only now.
        found.or(last).unwrap_or_else(|| Arc::new(Candidates::find(&self.choice(Notes::DoNotCome, now), None)))
    }

    fn last_candidates(&self) -> Option<Arc<Candidates>> {
        if self.is_watching.load(SeqCst) { self.candidates.read().clone() } else { None }
    }

    /// Finds new candidates for all requests. Only one set at a time gets the notes, so this is called under the lock.
    fn find_candidates(&self, now: Uptime) -> Option<Arc<Candidates>> {
        let last = self.last_candidates();
        if last.as_ref().is_some_and(|last| last.are_current(&self.boards, now)) || !self.is_watching.load(SeqCst) {
            return last;
        }
        let found = Arc::new(Candidates::find(&self.choice(Notes::Come, now), last.as_deref()));
        *self.candidates.write() = Some(Arc::clone(&found));
        Some(found)
    }

    pub(super) fn choice(&self, notes: Notes, now: Uptime) -> Choice<'_> {
        // Only the candidates of all requests are counted.
        let totals = Some(&self.totals).filter(|totals| notes == Notes::Come && totals.are_asked_for());
        Choice { spec: &self.spec, servers: &self.servers, boards: &self.boards, notes, totals, start: self.start, now }
    }

    /// Where its turns are. If each configuration began them again, frequent changes would send nearly all new sessions to the first
    /// server.
    fn turn_times(&self) -> TurnTimes {
        self.last_candidates().map_or(self.start, |last| last.turn_times())
    }

    pub(super) fn boards(&self) -> &Boards {
        &self.boards
    }

    /// From now on, this configuration is the one in use.
    fn watch(&self) {
        for (at, server) in self.servers.iter().enumerate() {
            server.queue().watched_by(self.boards.of(server.spec().tier), at);
        }
        self.totals.forget_askers();
        self.is_watching.store(true, SeqCst);
        // Notes until now went elsewhere.
        self.boards.of(Tier::Primary).health_changed();
    }

    /// Whether the server at this position is given up for this request.
    pub(super) fn given_up(&self, at: usize, attempts: &Attempts) -> bool {
        attempts.given_up(at, self.spec.retry.same_server).is_some()
    }

    /// Whether some server, full or not, is in use for new sessions and not given up for this request.
    pub fn has_untried(&self, attempts: &Attempts) -> bool {
        let mut servers = self.servers.iter().enumerate();
        servers.any(|(at, server)| server.would_accept_new() && !self.given_up(at, attempts))
    }

    /// Whether a server other than this one has room for a new session and is not given up for this request.
    pub fn accepts_beside(&self, at: usize, attempts: &Attempts) -> bool {
        let mut servers = self.servers.iter().enumerate();
        servers.any(|(other, server)| other != at && server.accepts_new() && !self.given_up(other, attempts))
    }

    /// Ends the queues of servers that are gone: a new configuration replaced this upstream by `next`, or removed it.
    /// Waiting requests go elsewhere. Call this after the new configuration is published.
    pub fn superseded(&self, next: Option<&Self>) {
        let stays = |server: &Server| {
            next.and_then(|next| next.find(server.id())).is_some_and(|same| Arc::ptr_eq(same.live(), server.live()))
        };
        let gone = || self.servers.iter().filter(|server| !stays(server));
        gone().for_each(|server| server.queue().end());
        if next.is_some_and(|next| std::ptr::eq(next, self)) {
            return;
        }
        self.retire();
        gone().for_each(|server| server.queue().counts_as(Share::NONE));
        // Candidates of this configuration may have been counted last.
        if let Some(next) = next.filter(|next| next.totals.are_asked_for()) {
            next.boards.of(Tier::Primary).health_changed();
        }
    }

    /// Takes no more notes.
    fn retire(&self) {
        let _finding = self.finding.lock();
        self.is_watching.store(false, SeqCst);
        if let Some(last) = &*self.candidates.read() {
            last.retire();
        }
    }

    /// Applies this configuration to requests that wait: they are admitted, or go elsewhere. Call this after the
    /// configuration is published.
    pub fn in_force(&self, now: Now) {
        if !self.is_watching.load(SeqCst) {
            self.watch();
        }
        self.servers.iter().for_each(|server| server.in_force(now));
    }
}

/// A server with its new configuration and its live state from an earlier one.
fn joined(
    server: &Arc<ServerSpec>,
    spec: &UpstreamSpec,
    (earlier, totals): (Option<&Upstream>, &Arc<Totals>),
    now: Now,
) -> Server {
    let before = earlier.and_then(|upstream| Some((upstream, upstream.find(&server.id)?)));
    let admin_before = before.map(|(_, before)| before.spec().admin);
    let joined = match before {
        Some((upstream, before)) => {
            let was = Specs { server: before.spec(), upstream: &upstream.spec };
            let state = HealthState::after(before.health_state(), was, Specs { server, upstream: spec }, now);
            Server::new(Arc::clone(server), Arc::clone(before.live()), Arc::clone(before.queue()), state)
        }
        None => {
            let origin = if earlier.is_some() { Origin::Later } else { Origin::Start };
            let queue = Arc::new(Queue::new(totals));
            let state = Arc::new(HealthState::new(spec, origin, &queue, now));
            Server::new(Arc::clone(server), Arc::new(Live::default()), queue, state)
        }
    };
    if admin_before != Some(server.admin) {
        joined.live().admin_changed(now.uptime);
    }
    joined
}
