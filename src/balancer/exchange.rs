//! One request on its way through the balancer: its claims, the servers tried for it, and what was decided last.

mod placing;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method as Verb, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use crate::http::request::Request;
use crate::sticky::affinity::{self, Arrival};
use crate::sticky::claim::{BadClaim, Claim, Minted, Named, Refused, SessionName};
use crate::sticky::learn::{Carrying, Sight};
use crate::sticky::spec::{Announce, Strict, WhenFull};
use crate::sticky::token::foreign::Format;
use crate::sticky::{CookieHeader, Entry, EntryKind, RequestEdits, Writes};
use crate::time::{Now, Uptime};
use crate::upstream::balance::LoadFactor;
use crate::upstream::failover::{Action, Cause, PATIENCE};
use crate::upstream::health::Health;
use crate::upstream::queue::Ticket;
use crate::upstream::retry::{Again, Failure, Progress};
use crate::upstream::server::{Server, Slot};
use crate::upstream::spec::{Admin, Then};
use crate::upstream::{Among, Pick, Queued, Tried};

use super::Pool;
use super::connection::Connection;
use super::facts::Facts;
use super::words::{Fate, Method, Reason};
use placing::Place;

/// A request between its arrival and the settling of its response.
#[derive(Debug)]
pub struct Exchange {
    pub(super) pool: Arc<Pool>,
    pub(super) standings: SmallVec<[Standing; 2]>,
    pub(super) facts: Facts,
    /// What the request carries for each entry that learns, by the entry's position.
    pub(super) carrying: SmallVec<[(usize, Carrying); 1]>,
    hash_key: Option<Box<[u8]>>,
    cookie: CookieHeader,
    tried: Tried,
    attempts: u8,
    intent: Intent,
    wait: Wait,
    /// The session's name for the ring, once it has one.
    pub(super) session: Option<SessionName>,
    pub(super) decided: Option<Decision>,
}

/// What a request is taken up for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intent {
    Serve,
    /// Somebody wants to know where it would go: it is no sign of life of its session.
    Ask,
}

/// A claim after its server has been looked up.
#[derive(Clone, Debug)]
pub enum Standing {
    Absent,
    /// Tied to a server: the first of these positions that serves. Several are there where servers share a route.
    Tied(SmallVec<[usize; 1]>, Named),
    /// A session with a name and nothing that ties it.
    Fresh(SessionName, Option<BadClaim>),
    /// Its name belongs to the server at this position. None where no server is on the ring.
    Keyed(Option<usize>, SessionName),
    /// Tied to a server that is not there.
    Unknown(Named),
    Bad(Refused),
}

/// What was decided for a request.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub reason: Reason,
    /// The entry that decided, by its position in the chain.
    pub entry: Option<usize>,
    pub fate: Fate,
    /// Why the tie could not be kept.
    pub cause: Option<Cause>,
    /// The server's position in the upstream.
    pub at: usize,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Assignment {
    /// Send it to the server at this position; the slot is its place there and is given back when dropped.
    Send {
        at: usize,
        slot: Slot,
    },
    /// Wait for the ticket until then. If it brings a place, send the request there and say [`Exchange::admitted`]; if it says
    /// that the server takes nobody any more, say [`Exchange::sent_away`] and ask again; if nothing has come by then, ask
    /// again. If the client goes away, drop the ticket and say [`Exchange::left`].
    Wait(Waiting),
    Refuse(Refusal),
}

/// A request that waits for a place at a full server.
#[derive(Debug)]
pub struct Waiting {
    pub ticket: Ticket,
    pub until: Uptime,
    /// What is decided if a place comes.
    pub decision: Decision,
}

/// How long a request has waited for places.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// In all; none where it did not wait.
    spent: Option<Duration>,
    /// Since when it waits now.
    since: Option<Uptime>,
}

/// An answer that Burdock gives itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub reason: Reason,
}

/// What the claims come to.
enum Verdict {
    Hit(usize, Pick),
    /// The first tie that cannot be kept.
    Lost(usize, Cause),
    /// A tie that cannot be kept, for this cause, and must not be moved.
    Strict(usize, Cause, StatusCode),
    /// No claim names a server.
    Untied,
}

/// What a verdict leads to.
struct Outcome {
    entry: Option<usize>,
    fate: Fate,
    cause: Option<Cause>,
    reason: Reason,
    place: Place,
}

impl Exchange {
    pub(super) fn new(pool: Arc<Pool>, request: &Request<'_>, intent: Intent, now: Now) -> Self {
        let cookies = pool.cookies.find(request.headers);
        let mut carrying: SmallVec<[(usize, Carrying); 1]> = SmallVec::new();
        let entries = pool.chain.entries().iter().enumerate();
        let standings = entries
            .map(|(nth, entry)| {
                let carried = entry.carrying(request, &cookies);
                let standing = pool.standing(entry.claim(request, &cookies, carried.as_ref(), sight(intent), now));
                carrying.extend(carried.map(|carried| (nth, carried)));
                standing
            })
            .collect();
        let hash_key = pool.hash_key.read(request, &cookies).map(|found| found.text().into());
        let cookie = pool.chain.cookie_header(&cookies, now);
        let facts = Facts::of(request, &pool.chain);
        let (tried, attempts, wait, session, decided) = (Tried::default(), 0, Wait::default(), None, None);
        Self { pool, standings, facts, carrying, hash_key, cookie, tried, attempts, intent, wait, session, decided }
    }

    /// Chooses a server: the first claim whose server may serve decides; if none does, the first cause's failover action;
    /// if there is no cause, the session is new. Asked again after [`Self::failed`], and after waiting in vain.
    pub fn pick(&mut self, connection: Option<&Connection>, now: Now, random: &mut impl CryptoRng) -> Assignment {
        self.wait.end(now);
        let Outcome { entry, fate, cause, reason, place } = match self.outcome(connection, now, random) {
            Ok(outcome) => outcome,
            Err(status) => return Assignment::Refuse(Refusal { status, reason: Reason::Refused }),
        };
        let reason = if self.tried.is_empty() { reason } else { Reason::Redispatched };
        match place {
            Place::Taken(Pick { at, slot, .. }) => {
                self.decided = Some(Decision { reason, entry, fate, cause, at });
                Assignment::Send { at, slot }
            }
            Place::Awaited(Queued { at, ticket }, patience) => {
                let until = self.wait.begin(now, patience);
                Assignment::Wait(Waiting { ticket, until, decision: Decision { reason, entry, fate, cause, at } })
            }
            Place::Nowhere => {
                Assignment::Refuse(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: Reason::NoServer })
            }
        }
    }

    fn outcome(
        &mut self,
        connection: Option<&Connection>,
        now: Now,
        random: &mut impl CryptoRng,
    ) -> Result<Outcome, StatusCode> {
        let kept = |entry, place| Outcome { entry: Some(entry), fate: Fate::Kept, cause: None, reason: Reason::Hit, place };
        Ok(match self.judge(now) {
            Verdict::Hit(entry, pick) => kept(entry, Place::Taken(pick)),
            Verdict::Lost(entry, cause) => match self.await_tied(entry, cause, now) {
                Some(awaited) => kept(entry, awaited),
                None => self.lost(entry, cause, now, random)?,
            },
            Verdict::Strict(entry, cause, status) => kept(entry, self.await_tied(entry, cause, now).ok_or(status)?),
            Verdict::Untied => {
                let place = self.place_new(connection, now, random);
                Outcome { entry: None, fate: Fate::New, cause: None, reason: self.why_new(place.among()), place }
            }
        })
    }

    /// What becomes of a session whose server cannot serve it.
    fn lost(&mut self, entry: usize, cause: Cause, now: Now, random: &mut impl CryptoRng) -> Result<Outcome, StatusCode> {
        let (fate, place) = (self.fate(entry, cause, now)?, self.place_named(entry, now, random));
        // Where too few servers are up, the place may be where the session is tied after all.
        let fate = if place.server().is_some_and(|at| self.is_tied_to(entry, at)) { Fate::Kept } else { fate };
        Ok(Outcome { entry: Some(entry), fate, cause: Some(cause), reason: Reason::Lost(cause), place })
    }

    /// The place that the request waited for is there.
    pub fn admitted(&mut self, decision: Decision, now: Now) {
        self.wait.end(now);
        self.decided = Some(decision);
    }

    /// The server that the request waited for takes nobody any more.
    pub fn sent_away(&mut self, decision: Decision, cause: Cause) {
        self.tried.sent_away(decision.at, cause);
    }

    /// The client has not waited so long. Tells the reason of such a request.
    pub fn left(&mut self, decision: Decision, now: Now) -> Reason {
        self.wait.end(now);
        match decision.fate {
            Fate::Kept => Reason::Lost(Cause::Full),
            Fate::New | Fate::Moved | Fate::Detour => Reason::NoServer,
        }
    }

    /// How long the request has waited for places at full servers; none where it did not.
    pub fn waited(&self) -> Option<Duration> {
        self.wait.spent
    }

    /// Takes note that the last pick failed, and says whether another is to be made. A kept connection that was found closed
    /// says nothing against its server, so that may be picked again.
    pub fn failed(&mut self, failure: Failure, method: &Verb, progress: Progress) -> Again {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(decision) = &self.decided
            && failure != Failure::Stale
        {
            self.tried.failed(decision.at);
        }
        self.pool.upstream.spec().retry.after(failure, method, progress, self.attempts)
    }

    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The claims, in the order of the chain.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    pub fn decision(&self) -> Option<&Decision> {
        self.decided.as_ref()
    }

    /// The kind of the entry that decided.
    pub fn method(&self) -> Method {
        match self.decided.and_then(|decision| decision.entry) {
            Some(at) => method_of(&self.pool.chain.entries()[at]),
            None => Method::None,
        }
    }

    /// The server that the session was tied to when it is served by another.
    pub fn from(&self) -> Option<&Server> {
        let decision = self.decided?;
        let at = match self.standings.get(decision.entry?)? {
            Standing::Tied(tied, _) if !tied.contains(&decision.at) => *tied.first()?,
            Standing::Keyed(Some(home), _) if *home != decision.at => *home,
            Standing::Absent
            | Standing::Fresh(..)
            | Standing::Tied(..)
            | Standing::Keyed(..)
            | Standing::Unknown(_)
            | Standing::Bad(_) => {
                return None;
            }
        };
        Some(&self.pool.upstream.servers()[at])
    }

    /// The proxy whose token decided, where it was not one of ours.
    pub fn foreign(&self) -> Option<Format> {
        match self.standings.get(self.decided?.entry?)? {
            Standing::Tied(_, Named { minted: Minted::By(format), .. }) => Some(*format),
            Standing::Absent
            | Standing::Fresh(..)
            | Standing::Tied(..)
            | Standing::Keyed(..)
            | Standing::Unknown(_)
            | Standing::Bad(_) => None,
        }
    }

    /// What is to be changed in the request for the server that was picked last.
    pub fn request_edits(&self, headers: &HeaderMap, now: Now) -> RequestEdits {
        let mut edits = self.pool.chain.request_edits(headers, &self.pool.cookies, self.cookie, now);
        if headers.contains_key(&affinity::HEADER) {
            edits.remove.push(affinity::HEADER.clone());
        }
        let announcement = self.announcement().map(|value| (affinity::HEADER.clone(), value));
        edits.set.extend(announcement);
        edits
    }

    fn announcement(&self) -> Option<HeaderValue> {
        let decision = self.decided.filter(|_| self.pool.chain.affinity().announce == Announce::On)?;
        let arrival = match decision.fate {
            Fate::Kept | Fate::New => return None,
            Fate::Moved => Arrival::Moved,
            Fate::Detour => Arrival::Detour,
        };
        affinity::announcement(arrival, self.from().map(Server::id), decision.reason.as_str())
    }

    fn judge(&self, now: Now) -> Verdict {
        let mut lost = None;
        for (nth, (entry, standing)) in self.pool.chain.entries().iter().zip(&self.standings).enumerate() {
            let admitted = match standing {
                Standing::Tied(candidates, _) => self.admit_first(candidates, now),
                Standing::Keyed(Some(home), _) => self.pool.upstream.admit_home(*home, bound_of(entry), &self.tried, now),
                Standing::Unknown(_) => Err(Cause::Unknown),
                Standing::Absent | Standing::Fresh(..) | Standing::Bad(_) | Standing::Keyed(None, _) => continue,
            };
            match (admitted, entry.strict) {
                (Ok(pick), _) => return Verdict::Hit(nth, pick),
                (Err(Cause::Full), Strict::Refuse(_)) => {
                    return Verdict::Strict(nth, Cause::Full, StatusCode::SERVICE_UNAVAILABLE);
                }
                (Err(cause), Strict::Refuse(status)) => return Verdict::Strict(nth, cause, status),
                (Err(cause), Strict::Off) => lost = lost.or(Some((nth, cause))),
            }
        }
        lost.map_or(Verdict::Untied, |(entry, cause)| Verdict::Lost(entry, cause))
    }

    /// A place at the first of these servers that can serve the session; otherwise why the first cannot.
    fn admit_first(&self, candidates: &[usize], now: Now) -> Result<Pick, Cause> {
        let mut first = None;
        for &at in candidates {
            if self.intent == Intent::Serve {
                self.pool.upstream.servers()[at].live().claimed(now.uptime);
            }
            match self.pool.upstream.admit_tied(at, &self.tried, now) {
                Ok(pick) => return Ok(pick),
                Err(cause) => first = first.or(Some(cause)),
            }
        }
        Err(first.unwrap_or(Cause::Unknown))
    }

    /// Waits for the server that this entry names, where it is full and may be waited for.
    fn await_tied(&self, entry: usize, cause: Cause, now: Now) -> Option<Place> {
        let patience = self.wait.left(self.patience(entry).filter(|_| cause == Cause::Full)?)?;
        let bound = bound_of(&self.pool.chain.entries()[entry]);
        let queued = self.tied(entry).iter().find_map(|&at| self.pool.upstream.queue_tied(at, bound, &self.tried, now))?;
        Some(Place::Awaited(queued, patience))
    }

    /// How long a session of this entry waits for its server.
    fn patience(&self, entry: usize) -> Option<Duration> {
        let configured = self.pool.upstream.spec().failover.full.wait;
        match (self.pool.chain.entries()[entry].strict, self.when_full(entry)) {
            (Strict::Refuse(_), _) | (Strict::Off, Some(WhenFull::Keep)) => configured.or(Some(PATIENCE)),
            (Strict::Off, Some(WhenFull::Spill)) => None,
            (Strict::Off, None) => configured,
        }
    }

    /// The servers that this entry names.
    fn tied(&self, entry: usize) -> &[usize] {
        match &self.standings[entry] {
            Standing::Tied(candidates, _) => candidates,
            Standing::Keyed(home, _) => home.as_slice(),
            Standing::Absent | Standing::Fresh(..) | Standing::Unknown(_) | Standing::Bad(_) => &[],
        }
    }

    fn fate(&self, entry: usize, cause: Cause, now: Now) -> Result<Fate, StatusCode> {
        let for_good = match self.pool.chain.entries()[entry].writes() {
            Writes::Always | Writes::WhenSpoken | Writes::InTable => Fate::Moved,
            // Where Burdock does not write the tie, it cannot move it.
            Writes::Never => Fate::Detour,
        };
        match self.action(entry, cause) {
            Action::Permanent => Ok(for_good),
            Action::Temporary(None) => Ok(Fate::Detour),
            Action::Temporary(Some(limit)) if self.lost_for(entry, cause, now) < limit => Ok(Fate::Detour),
            Action::Temporary(Some(_)) => Ok(for_good),
            Action::Refuse(status) => Err(status),
        }
    }

    fn action(&self, entry: usize, cause: Cause) -> Action {
        match self.when_full(entry).filter(|_| cause == Cause::Full) {
            Some(WhenFull::Keep) => Action::Refuse(StatusCode::SERVICE_UNAVAILABLE),
            Some(WhenFull::Spill) => Action::Temporary(None),
            None => self.wished(entry, cause).unwrap_or_else(|| self.pool.upstream.spec().failover.action(cause)),
        }
    }

    /// What the operator has wished for those who are left when a drain is over.
    fn wished(&self, entry: usize, cause: Cause) -> Option<Action> {
        let at = *self.tied(entry).first().filter(|_| cause == Cause::Drained)?;
        match self.pool.upstream.servers()[at].spec().admin {
            Admin::Drain { then: Then::Move, .. } => Some(Action::Permanent),
            Admin::Drain { then: Then::Refuse, .. } => Some(Action::Refuse(StatusCode::SERVICE_UNAVAILABLE)),
            Admin::Drain { then: Then::AsConfigured, .. } | Admin::Ready | Admin::Maint | Admin::Leaving { .. } => None,
        }
    }

    fn when_full(&self, entry: usize) -> Option<WhenFull> {
        match &self.pool.chain.entries()[entry].kind {
            EntryKind::Hash(hash) => hash.spec.when_full,
            EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Learn(_) => None,
        }
    }

    /// How long the tied server has been unable to serve, as far as that has a beginning.
    fn lost_for(&self, entry: usize, cause: Cause, now: Now) -> Duration {
        match (self.tied(entry).first().copied(), cause) {
            (Some(at), Cause::Down) => {
                let server = &self.pool.upstream.servers()[at];
                if server.health() == Health::Up { Duration::ZERO } else { server.unchanged_for(now) }
            }
            // A server that is named and unknown all the same was there until now.
            (_, Cause::Full) | (Some(_), Cause::Unknown) => Duration::ZERO,
            (Some(at), Cause::Maint) => self.pool.upstream.servers()[at].wished_for(now),
            (Some(at), Cause::Drained) => self.pool.upstream.servers()[at].over_for(now),
            (None, Cause::Down | Cause::Maint | Cause::Drained | Cause::Unknown) => now.uptime.since(self.pool.since),
        }
    }

    fn is_tied_to(&self, entry: usize, at: usize) -> bool {
        self.tied(entry).contains(&at)
    }

    fn why_new(&self, among: Among) -> Reason {
        let bad = self.standings.iter().find_map(|standing| match standing {
            Standing::Bad(bad) => Some(bad.why),
            Standing::Fresh(_, bad) => *bad,
            Standing::Absent | Standing::Tied(..) | Standing::Keyed(..) | Standing::Unknown(_) => None,
        });
        let good = match among {
            Among::Up => Reason::New,
            Among::Ready => Reason::Panic,
        };
        bad.map_or(good, Reason::Bad)
    }
}

impl Wait {
    /// What is left of the time that the request may wait.
    fn left(self, patience: Duration) -> Option<Duration> {
        patience.checked_sub(self.spent.unwrap_or_default()).filter(|left| !left.is_zero())
    }

    /// Begins to wait for so long, and tells until when.
    fn begin(&mut self, now: Now, patience: Duration) -> Uptime {
        self.since = Some(now.uptime);
        now.uptime.plus(patience)
    }

    fn end(&mut self, now: Now) {
        if let Some(since) = self.since.take() {
            self.spent = Some(self.spent.unwrap_or_default() + now.uptime.since(since));
        }
    }
}

impl Pool {
    /// A claim with its server looked up.
    fn standing(&self, claim: Claim<'_>) -> Standing {
        match claim {
            Claim::Absent => Standing::Absent,
            Claim::Bad(bad) => Standing::Bad(bad),
            Claim::Fresh(name, bad) => Standing::Fresh(name, bad),
            Claim::Keyed(name) => Standing::Keyed(self.upstream.home(&name.octets()), name),
            Claim::Names(server, named) => {
                let candidates = self.resolve(&server);
                if candidates.is_empty() { Standing::Unknown(named) } else { Standing::Tied(candidates, named) }
            }
        }
    }
}

fn sight(intent: Intent) -> Sight {
    match intent {
        Intent::Serve => Sight::OfLife,
        Intent::Ask => Sight::Only,
    }
}

fn bound_of(entry: &Entry) -> Option<LoadFactor> {
    match &entry.kind {
        EntryKind::Hash(hash) => hash.spec.load_factor,
        EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Learn(_) => None,
    }
}

fn method_of(entry: &Entry) -> Method {
    match &entry.kind {
        EntryKind::Cookie(_) => Method::Cookie,
        EntryKind::Header(_) => Method::Header,
        EntryKind::Route(_) => Method::Route,
        EntryKind::Hash(_) => Method::Hash,
        EntryKind::Learn(_) => Method::Learn,
    }
}
