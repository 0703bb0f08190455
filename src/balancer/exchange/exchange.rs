//! One request on its way through the balancer: its claims, its attempts and the last decision. It calls the steps in order
//! and keeps their results; each step decides in its own file.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method as Verb, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use super::assignment::{Assignment, Refusal, Waiting};
use super::claims::{Asking, Claims, ResolvedClaim, Verdict, judge};
use super::decision::Decision;
use super::failover::LostTie;
use super::report;
use super::request_info::RequestInfo;
use super::select::{Place, Search, name_of_lost};
use super::settle::{self, Settlement};
use super::ties::Ties;
use super::wait::Wait;
use crate::balancer::connection::Connection;
use crate::balancer::reason::{MethodLabel, Reason, TieOutcome};
use crate::balancer::sticky_upstream::StickyUpstream;
use crate::http::edits::Edits;
use crate::http::request::{Request, Response};
use crate::session::claim::Claim;
use crate::session::foreign_format::ForeignFormat;
use crate::session::name::SessionName;
use crate::sticky::affinity;
use crate::sticky::chain::{Chain, RequestParts};
use crate::sticky::edits::CookieHeader;
use crate::sticky::entry::Entry;
use crate::sticky::incoming::{IncomingRequest, Purpose, RequestNames};
use crate::sticky::spec::{Announce, Strict};
use crate::time::Now;
use crate::upstream::failover::{Action, Cause};
use crate::upstream::retry::{ConnectionNeed, Failure, Progress, ShouldRetry};
use crate::upstream::server::Server;
use crate::upstream::{Among, Attempts, Pick, Queued, Upstream};

/// A request from its claims until its response is settled.
#[derive(Debug)]
pub struct Exchange {
    upstream: Arc<StickyUpstream>,
    claims: Claims,
    info: RequestInfo,
    /// The names that the request carries for each learn entry, with the entry's position.
    names: SmallVec<[(usize, RequestNames); 1]>,
    hash_key: Option<Box<[u8]>>,
    cookie: CookieHeader,
    attempts: Attempts,
    failures: u8,
    connection: ConnectionNeed,
    purpose: Purpose,
    wait: Wait,
    /// The session's name on the ring, once it has one.
    session: Option<SessionName>,
    /// The last decision.
    decided: Option<Decision>,
}

/// The outcome of one pick.
struct Outcome {
    entry: Option<usize>,
    tie: TieOutcome,
    cause: Option<Cause>,
    reason: Reason,
    place: Place,
}

impl StickyUpstream {
    /// Reads what a request claims, before any server is chosen.
    pub fn receive(self: &Arc<Self>, request: &Request<'_>, now: Now) -> Exchange {
        Exchange::new(Arc::clone(self), request, Purpose::Serve, now)
    }

    /// Like [`Self::receive`], for a request that was not sent: the session that it names does not count as seen. Use it for
    /// picks, and do not settle it.
    pub fn preview(self: &Arc<Self>, request: &Request<'_>, now: Now) -> Exchange {
        Exchange::new(Arc::clone(self), request, Purpose::Explain, now)
    }
}

impl Exchange {
    fn new(upstream: Arc<StickyUpstream>, request: &Request<'_>, purpose: Purpose, now: Now) -> Self {
        let cookies = upstream.cookies().find(request.headers);
        let mut names: SmallVec<[(usize, RequestNames); 1]> = SmallVec::new();
        let mut claims = Claims::default();
        for (nth, entry) in upstream.chain().entries().iter().enumerate() {
            let read = entry.names(request, &cookies);
            let incoming = IncomingRequest { request, cookies: &cookies, names: read.as_ref(), purpose, now };
            let claim = entry.claim(&incoming);
            if matches!(claim, Claim::Names(..)) {
                let further = entry.further_claims(&incoming).into_iter();
                claims.further.extend(further.map(|claim| (nth, ResolvedClaim::of(claim, &upstream))));
            }
            claims.counting.push(ResolvedClaim::of(claim, &upstream));
            names.extend(read.map(|read| (nth, read)));
        }
        let hash_key = upstream.hash_key().read(request, &cookies).map(|found| found.text().into());
        let cookie = upstream.chain().cookie_header(&cookies, now);
        let info = RequestInfo::of(request, upstream.chain(), &claims.counting);
        Self {
            upstream,
            claims,
            info,
            names,
            hash_key,
            cookie,
            attempts: Attempts::default(),
            failures: 0,
            connection: ConnectionNeed::Any,
            purpose,
            wait: Wait::default(),
            session: None,
            decided: None,
        }
    }

    /// Chooses a server. The first claim whose server can serve decides. If there is none, the failover action of the first
    /// cause decides; without a cause, the session is new. Call it again after [`Self::failed`] and after waiting without
    /// success.
    pub fn pick(&mut self, connection: Option<&Connection>, now: Now, random: &mut impl CryptoRng) -> Assignment {
        self.wait.end(now);
        let Outcome { entry, tie: outcome, cause, reason, place } = match self.outcome(connection, now, random) {
            Ok(outcome) => outcome,
            Err(status) => return Assignment::Refuse(Refusal { status, reason: Reason::Refused }),
        };
        let reason = if self.attempts.is_empty() { reason } else { Reason::Redispatched };
        match place {
            Place::Taken(Pick { at, slot, .. }) => {
                self.decided = Some(Decision { reason, entry, outcome, cause, at });
                Assignment::Send { at, slot }
            }
            Place::Awaited(Queued { at, ticket }, timeout) => {
                let until = self.wait.begin(now, timeout);
                Assignment::Wait(Waiting { ticket, until, decision: Decision { reason, entry, outcome, cause, at } })
            }
            Place::Nowhere => self.nowhere(),
        }
    }

    /// No server takes the request. If it failed at every server there is, that is the answer: the servers were there.
    fn nowhere(&self) -> Assignment {
        let tried = !self.attempts.is_empty() && !self.upstream().has_untried(&self.attempts);
        match self.decided.filter(|_| tried) {
            Some(last) => Assignment::GiveUp(last.reason),
            None => Assignment::Refuse(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: Reason::NoServer }),
        }
    }

    fn outcome(
        &mut self,
        connection: Option<&Connection>,
        now: Now,
        random: &mut impl CryptoRng,
    ) -> Result<Outcome, StatusCode> {
        let asking = Asking { attempts: &self.attempts, purpose: self.purpose, now };
        Ok(match judge(&self.upstream, &mut self.claims, asking) {
            Verdict::Hit(entry, pick) => Outcome::kept(entry, Place::Taken(pick)),
            Verdict::Lost(entry, cause) => match self.await_tied(entry, cause, now) {
                Some(awaited) => Outcome::kept(entry, awaited),
                None => self.lost(entry, cause, now, random)?,
            },
            Verdict::Strict(entry, cause, status) => Outcome::kept(entry, self.await_tied(entry, cause, now).ok_or(status)?),
            Verdict::Untied => {
                let mut session = self.session.take();
                let connection = connection.filter(|_| !self.info.is_relayed());
                let place = self.search(now).place_new(&self.claims.counting, &mut session, connection, random);
                self.session = session;
                let reason = self.why_new(place.among());
                Outcome { entry: None, tie: TieOutcome::New, cause: None, reason, place }
            }
        })
    }

    fn await_tied(&self, entry: usize, cause: Cause, now: Now) -> Option<Place> {
        self.search(now).await_tied(self.entry(entry), &self.claims.counting[entry], cause)
    }

    /// The outcome for a session whose server cannot serve it.
    fn lost(&mut self, nth: usize, cause: Cause, now: Now, random: &mut impl CryptoRng) -> Result<Outcome, StatusCode> {
        let (entry, claim) = (self.entry(nth), &self.claims.counting[nth]);
        let tie = LostTie { upstream: &self.upstream, entry, claim, cause }.outcome(now)?;
        let session = self.session.take().or_else(|| name_of_lost(&self.claims.counting[nth], self.info.client()));
        let place = self.search(now).place(session.as_ref(), self.entry(nth).load_factor(), None, random);
        self.session = session;
        // If too few servers are up, the request may be placed at the server that it is tied to.
        let stays = place.server().is_some_and(|at| self.claims.counting[nth].servers().contains(&at));
        let tie = if stays { TieOutcome::Kept } else { tie };
        Ok(Outcome { entry: Some(nth), tie, cause: Some(cause), reason: Reason::Lost(cause), place })
    }

    fn search(&self, now: Now) -> Search<'_> {
        Search {
            upstream: self.upstream.upstream(),
            attempts: &self.attempts,
            hash_key: self.hash_key.as_deref(),
            wait: self.wait,
            now,
        }
    }

    fn why_new(&self, among: Among) -> Reason {
        let good = match among {
            Among::Up => Reason::New,
            Among::Ready => Reason::Panic,
        };
        self.claims.counting.iter().find_map(ResolvedClaim::flaw).map_or(good, Reason::Bad)
    }

    /// The request has got the slot that it waited for.
    pub fn admitted(&mut self, decision: Decision, now: Now) {
        self.wait.end(now);
        self.decided = Some(decision);
    }

    /// The server that the request waited for accepts no more requests.
    pub fn queue_closed(&mut self, decision: Decision, cause: Cause) {
        self.attempts.queue_closed(decision.at, cause);
    }

    /// The client has gone while its request waited. Returns the reason to log.
    pub fn client_gone(&mut self, decision: Decision, now: Now) -> Reason {
        self.wait.end(now);
        match decision.outcome {
            TieOutcome::Kept => Reason::Lost(Cause::Full),
            TieOutcome::New | TieOutcome::Moved | TieOutcome::Detour => Reason::NoServer,
        }
    }

    /// How long the request has waited for slots at full servers. None if it did not wait.
    pub fn waited(&self) -> Option<Duration> {
        self.wait.spent()
    }

    /// Records that the attempt at the last pick failed, and returns whether to pick again. A reused connection that turns
    /// out to be closed is neither a try nor the server's failure, so the same server may be picked again.
    pub fn failed(&mut self, failure: Failure, method: &Verb, progress: Progress) -> ShouldRetry {
        if failure == Failure::Shortage {
            // The server was not tried. Its session stays with it.
            return ShouldRetry::No;
        }
        if failure == Failure::Stale && self.connection == ConnectionNeed::Any {
            self.connection = ConnectionNeed::New;
        } else {
            self.failures = self.failures.saturating_add(1);
            if let Some(decision) = &self.decided {
                self.attempts.failed(decision.at);
            }
        }
        self.upstream().spec().retry.after(failure, method, progress, self.failures)
    }

    /// Records a status that the last pick's server answered, and returns whether to pick again instead of settling. Only if
    /// another server has room: otherwise the server's own answer says more than Burdock's would. A session that must not
    /// leave its server stays.
    pub fn answered(&mut self, status: StatusCode, method: &Verb, progress: Progress) -> ShouldRetry {
        let tries = self.failures.saturating_add(1);
        if self.upstream().spec().retry.after(Failure::Status(status), method, progress, tries) == ShouldRetry::No {
            return ShouldRetry::No;
        }
        let Some(Decision { at, entry, .. }) = self.decided else { return ShouldRetry::No };
        let strict = entry.is_some_and(|nth| self.entry(nth).strict != Strict::Off);
        let refuses = entry.is_some() && matches!(self.upstream().spec().failover.down, Action::Refuse(_));
        if strict || refuses || !self.upstream().accepts_beside(at, &self.attempts) {
            return ShouldRetry::No;
        }
        self.failed(Failure::Status(status), method, progress)
    }

    /// The connection that the next attempt needs.
    pub fn connection(&self) -> ConnectionNeed {
        self.connection
    }

    /// Edits the request for the server that was picked last.
    pub fn edit_request(&self, headers: &HeaderMap, now: Now, edits: &mut Edits) {
        let request = RequestParts { headers, names: self.upstream.cookies() };
        self.chain().edit_request(&request, self.cookie, now, edits);
        if headers.contains_key(&affinity::HEADER) {
            edits.remove(affinity::HEADER.clone());
        }
        let decided = self.decided.filter(|_| self.chain().affinity().announce == Announce::On);
        let value = decided.and_then(|decision| report::announcement(self.upstream(), &self.claims.counting, &decision));
        if let Some(value) = value {
            edits.set(affinity::HEADER.clone(), value);
        }
    }

    /// Settles the tie. The server that was picked last has sent this final response (or 101).
    pub fn settle(&self, response: &Response<'_>, now: Now, random: &mut impl CryptoRng) -> Settlement {
        settle::settle(&self.ties(), self.decided, response, now, random)
    }

    /// The edits of an informational response. It settles nothing, but it must not carry orders to Burdock, or headers that
    /// the client would mistake for Burdock's.
    pub fn interim_edits(&self, headers: &HeaderMap, now: Now) -> Edits {
        settle::interim_edits(&self.ties(), headers, now)
    }

    fn ties(&self) -> Ties<'_> {
        Ties {
            upstream: &self.upstream,
            claims: &self.claims.counting,
            info: &self.info,
            names: &self.names,
            session: self.session.as_ref(),
        }
    }

    pub fn upstream(&self) -> &Upstream {
        self.upstream.upstream()
    }

    pub fn chain(&self) -> &Chain {
        self.upstream.chain()
    }

    /// Whether a proxy relays the request, trusted or not. Known only if the request has no tie.
    pub fn is_relayed(&self) -> bool {
        self.info.is_relayed()
    }

    /// The claims, in the order of the chain.
    pub fn claims(&self) -> &[ResolvedClaim] {
        &self.claims.counting
    }

    pub fn decision(&self) -> Option<&Decision> {
        self.decided.as_ref()
    }

    /// The method of the entry that decided.
    pub fn method(&self) -> MethodLabel {
        let decided = self.decided.and_then(|decision| decision.entry);
        decided.map_or(MethodLabel::NONE, |nth| MethodLabel::of(&self.entry(nth).method))
    }

    /// The server that the session was tied to, if another serves it.
    pub fn from(&self) -> Option<&Server> {
        report::left_server(self.upstream(), &self.claims.counting, self.decided.as_ref()?)
    }

    /// The proxy whose token decided, if it was not Burdock's own.
    pub fn foreign(&self) -> Option<ForeignFormat> {
        report::foreign_format(&self.claims.counting, self.decided.as_ref()?)
    }

    fn entry(&self, nth: usize) -> &Entry {
        &self.chain().entries()[nth]
    }
}

impl Outcome {
    fn kept(entry: usize, place: Place) -> Self {
        Self { entry: Some(entry), tie: TieOutcome::Kept, cause: None, reason: Reason::Hit, place }
    }
}
