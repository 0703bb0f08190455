//! One request on its way through the balancer: its claims, the servers tried for it, and what was decided last.

use std::sync::Arc;

use ::http::{Method as Verb, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use crate::http::hygiene::is_cors_preflight;
use crate::http::request::{Request, Scheme};
use crate::sticky::claim::{BadClaim, Claim, Named};
use crate::sticky::token::SessionNumber;
use crate::time::Now;
use crate::upstream::failover::{Action, Cause};
use crate::upstream::health::Health;
use crate::upstream::retry::{Again, Failure, Progress};
use crate::upstream::server::{Server, Slot};
use crate::upstream::{Pick, Placement, Tried};

use super::Pool;
use super::connection::{Connection, Provisional};
use super::words::{Fate, Method, Reason};

/// A request between its arrival and the settling of its response.
#[derive(Debug)]
pub struct Exchange {
    pub(super) pool: Arc<Pool>,
    pub(super) standings: SmallVec<[Standing; 2]>,
    pub(super) scheme: Scheme,
    pub(super) preflight: Preflight,
    hash_key: Option<Box<[u8]>>,
    tried: Tried,
    attempts: u8,
    /// The session's name for the ring, once it has one.
    pub(super) session: Option<SessionNumber>,
    pub(super) decided: Option<Decision>,
}

/// A claim after its server has been looked up.
#[derive(Clone, Debug)]
pub enum Standing {
    Absent,
    /// Tied to the server at this position.
    Tied(usize, Named),
    /// Tied to a server that is not there.
    Unknown(Named),
    Bad(BadClaim),
}

/// Whether a request is a CORS preflight, whose answer browsers take no cookie from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Preflight {
    Yes,
    No,
}

/// What was decided for a request.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub reason: Reason,
    /// The entry that decided, by its position in the chain.
    pub entry: Option<usize>,
    pub fate: Fate,
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
    Refuse(Refusal),
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
    /// No claim names a server.
    Untied,
}

impl Exchange {
    pub(super) fn new(pool: Arc<Pool>, request: &Request<'_>, now: Now) -> Self {
        let standings = pool
            .chain
            .entries()
            .iter()
            .map(|entry| match entry.claim(request, now) {
                Claim::Absent => Standing::Absent,
                Claim::Bad(bad) => Standing::Bad(bad),
                Claim::Names(named) => match pool.resolve(&named.server) {
                    Some(at) => Standing::Tied(at, named),
                    None => Standing::Unknown(named),
                },
            })
            .collect();
        let hash_key = pool.hash_key.as_ref().and_then(|source| source.read(request)).map(|key| key.into_owned().into());
        let preflight = if is_cors_preflight(request.method, request.headers) { Preflight::Yes } else { Preflight::No };
        let scheme = request.scheme;
        Self {
            pool,
            standings,
            scheme,
            preflight,
            hash_key,
            tried: Tried::default(),
            attempts: 0,
            session: None,
            decided: None,
        }
    }

    /// Chooses a server: the first claim whose server may serve decides; if none does, the first cause's failover action;
    /// if there is no cause, the session is new. Asked again after [`Self::failed`].
    pub fn pick(&mut self, connection: Option<&Connection>, now: Now, random: &mut impl CryptoRng) -> Assignment {
        let (entry, fate, reason, pick) = match self.judge() {
            Verdict::Hit(entry, pick) => (Some(entry), Fate::Kept, Reason::Hit, Some(pick)),
            Verdict::Lost(entry, cause) => match self.fate(entry, cause, now) {
                Ok(fate) => (Some(entry), fate, Reason::Lost(cause), self.place_named(entry, random)),
                Err(status) => return Assignment::Refuse(Refusal { status, reason: Reason::Refused }),
            },
            Verdict::Untied => (None, Fate::New, self.why_new(), self.place_new(connection, random)),
        };
        let Some(Pick { at, slot }) = pick else {
            return Assignment::Refuse(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: Reason::NoServer });
        };
        let reason = if self.tried.is_empty() { reason } else { Reason::Redispatched };
        self.decided = Some(Decision { reason, entry, fate, at });
        Assignment::Send { at, slot }
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
        match self.standings.get(decision.entry?)? {
            Standing::Tied(at, _) if *at != decision.at => Some(&self.pool.upstream.servers()[*at]),
            Standing::Absent | Standing::Tied(..) | Standing::Unknown(_) | Standing::Bad(_) => None,
        }
    }

    fn judge(&self) -> Verdict {
        let mut lost = None;
        for (entry, standing) in self.standings.iter().enumerate() {
            let cause = match standing {
                Standing::Tied(at, _) => match self.pool.upstream.admit_tied(*at, &self.tried) {
                    Ok(pick) => return Verdict::Hit(entry, pick),
                    Err(cause) => cause,
                },
                Standing::Unknown(_) => Cause::Unknown,
                Standing::Absent | Standing::Bad(_) => continue,
            };
            lost = lost.or(Some((entry, cause)));
        }
        lost.map_or(Verdict::Untied, |(entry, cause)| Verdict::Lost(entry, cause))
    }

    fn fate(&self, entry: usize, cause: Cause, now: Now) -> Result<Fate, StatusCode> {
        match self.pool.upstream.spec().failover.action(cause) {
            Action::Permanent => Ok(Fate::Moved),
            Action::Temporary(None) => Ok(Fate::Detour),
            Action::Temporary(Some(limit)) if self.lost_for(entry, cause, now) < limit => Ok(Fate::Detour),
            Action::Temporary(Some(_)) => Ok(Fate::Moved),
            Action::Refuse(status) => Err(status),
        }
    }

    /// How long the tied server has been unable to serve, as far as that has a beginning.
    fn lost_for(&self, entry: usize, cause: Cause, now: Now) -> std::time::Duration {
        match (&self.standings[entry], cause) {
            (Standing::Tied(at, _), Cause::Down) => {
                let server = &self.pool.upstream.servers()[*at];
                if server.health() == Health::Up { std::time::Duration::ZERO } else { server.unchanged_for(now) }
            }
            (_, Cause::Full) => std::time::Duration::ZERO,
            (_, Cause::Down | Cause::Maint | Cause::Drained | Cause::Unknown) => now.uptime.since(self.pool.since),
        }
    }

    /// A session that has lost its server goes by the ring if it has a name.
    fn place_named(&mut self, entry: usize, random: &mut impl CryptoRng) -> Option<Pick> {
        if self.session.is_none() {
            self.session = match &self.standings[entry] {
                Standing::Tied(_, named) | Standing::Unknown(named) => named.session,
                Standing::Absent | Standing::Bad(_) => None,
            };
        }
        self.place(random)
    }

    fn place_new(&mut self, connection: Option<&Connection>, random: &mut impl CryptoRng) -> Option<Pick> {
        if self.standings.is_empty() || self.session.is_some() {
            return self.place(random);
        }
        let Some(connection) = connection else {
            let pick = self.place(random);
            self.session = Some(SessionNumber::random(random));
            return pick;
        };
        let pool = Arc::clone(&self.pool);
        connection.with(pool.upstream.name(), |provisional| self.place_provisional(provisional, random))
    }

    /// The first nameless request of a connection is balanced; those after it follow it.
    fn place_provisional(
        &mut self,
        before: Option<Provisional>,
        random: &mut impl CryptoRng,
    ) -> (Option<Pick>, Option<Provisional>) {
        let upstream = &self.pool.upstream;
        let Some(Provisional { session, server, .. }) = before else {
            let pick = self.place(random);
            let session = SessionNumber::random(random);
            self.session = Some(session);
            let upstream = &self.pool.upstream;
            let begun = pick.as_ref().map(|pick| Provisional {
                upstream: upstream.name().clone(),
                session,
                server: upstream.servers()[pick.at].id().clone(),
            });
            return (pick, begun);
        };
        self.session = Some(session);
        let followed = upstream.position(&server).and_then(|at| upstream.admit_new(at, &self.tried));
        (followed.or_else(|| self.place(random)), None)
    }

    fn place(&self, random: &mut impl CryptoRng) -> Option<Pick> {
        let name = self.session.map(|SessionNumber(number)| number.to_be_bytes());
        let placement = match &name {
            Some(name) => Placement::Ring(name),
            None => Placement::Balance(self.hash_key.as_deref()),
        };
        self.pool.upstream.place(placement, &self.tried, random)
    }

    fn why_new(&self) -> Reason {
        let bad = self.standings.iter().find_map(|standing| match standing {
            Standing::Bad(bad) => Some(*bad),
            Standing::Absent | Standing::Tied(..) | Standing::Unknown(_) => None,
        });
        bad.map_or(Reason::New, Reason::Bad)
    }
}

fn method_of(entry: &crate::sticky::Entry) -> Method {
    match entry {
        crate::sticky::Entry::Cookie(_) => Method::Cookie,
    }
}
