//! One request on its way through the balancer: its claims, the servers tried for it, and what was decided last.

mod claims;
mod failover;
mod report;
mod select;
mod wait;

use std::sync::Arc;

use ::http::{Method as Verb, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use crate::http::request::Request;
use crate::session::load_factor::LoadFactor;
use crate::session::name::SessionName;
use crate::sticky::edits::CookieHeader;
use crate::sticky::entry::{Entry, EntryKind};
use crate::sticky::learn::{Carrying, Sight};
use crate::time::Now;
use crate::upstream::failover::Cause;
use crate::upstream::retry::{Again, Failure, Progress};
use crate::upstream::server::Slot;
use crate::upstream::{Among, Pick, Queued, Tried};

use super::Pool;
use super::connection::Connection;
pub use crate::balancer::exchange::claims::Standing;
use crate::balancer::exchange::claims::Verdict;
use crate::balancer::exchange::select::Place;
use crate::balancer::exchange::wait::Wait;
pub use crate::balancer::exchange::wait::Waiting;
use crate::balancer::reason::{Fate, Reason};
use crate::balancer::request_info::Facts;

/// A request between its arrival and the settling of its response.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) pool: Arc<Pool>,
    pub(crate) standings: SmallVec<[Standing; 2]>,
    pub(crate) facts: Facts,
    /// What the request carries for each entry that learns, by the entry's position.
    pub(crate) carrying: SmallVec<[(usize, Carrying); 1]>,
    hash_key: Option<Box<[u8]>>,
    cookie: CookieHeader,
    tried: Tried,
    attempts: u8,
    intent: Intent,
    wait: Wait,
    /// The session's name for the ring, once it has one.
    pub(crate) session: Option<SessionName>,
    pub(crate) decided: Option<Decision>,
}

/// What a request is taken up for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intent {
    Serve,
    /// Somebody wants to know where it would go: it is no sign of life of its session.
    Ask,
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

/// An answer that Burdock gives itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub reason: Reason,
}

/// What a verdict leads to.
pub(crate) struct Outcome {
    entry: Option<usize>,
    fate: Fate,
    cause: Option<Cause>,
    reason: Reason,
    place: Place,
}

impl Exchange {
    pub(crate) fn new(pool: Arc<Pool>, request: &Request<'_>, intent: Intent, now: Now) -> Self {
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
