//! Finds a server for a request whose claims did not give it a slot. A session with a name goes by the ring; one without
//! goes with its connection's other requests, or by balance. A tied session may wait in its server's queue. It does not know
//! why the tie was not kept.

use std::net::IpAddr;
use std::time::Duration;

use rand_core::CryptoRng;

use super::claims::ResolvedClaim;
use super::wait::Wait;
use crate::balancer::connection::{Connection, Provisional};
use crate::session::claim::Refused;
use crate::session::load_factor::LoadFactor;
use crate::session::name::SessionName;
use crate::session::number::SessionNumber;
use crate::sticky::entry::Entry;
use crate::sticky::spec::{Strict, WhenFull};
use crate::time::Now;
use crate::upstream::failover::{Cause, WAIT_TIMEOUT};
use crate::upstream::{Among, Attempts, Pick, Placement, Queued, Upstream};

/// The place of a request.
pub(super) enum Place {
    Taken(Pick),
    /// It waits in a queue, for this long at most.
    Awaited(Queued, Duration),
    Nowhere,
}

/// What the search for a place depends on, apart from the session.
pub(super) struct Search<'e> {
    pub(super) upstream: &'e Upstream,
    pub(super) attempts: &'e Attempts,
    /// What `balance: hash` hashes.
    pub(super) hash_key: Option<&'e [u8]>,
    pub(super) wait: Wait,
    pub(super) now: Now,
}

impl Search<'_> {
    /// A place for a session with or without a name. If it has to wait, it prefers the server at `followed`.
    pub(super) fn place(
        &self,
        session: Option<&SessionName>,
        bound: Option<LoadFactor>,
        followed: Option<usize>,
        random: &mut impl CryptoRng,
    ) -> Place {
        let name = session.map(SessionName::bytes);
        let placement = match (&name, bound) {
            (Some(name), Some(bound)) => Placement::Bounded(name, bound),
            (Some(name), None) => Placement::Ring(name),
            (None, _) => Placement::Balance(self.hash_key),
        };
        if let Some(pick) = self.upstream.place(placement, self.attempts, self.now, random) {
            return Place::Taken(pick);
        }
        let timeout = self.upstream.spec().queue.new_sessions.and_then(|timeout| self.wait.left(timeout));
        let awaited = timeout
            .and_then(|timeout| Some((self.upstream.queue_new(placement, followed, self.attempts, self.now)?, timeout)));
        awaited.map_or(Place::Nowhere, |(queued, timeout)| Place::Awaited(queued, timeout))
    }

    /// A place for a session without a tie; `session` becomes its name.
    pub(super) fn place_new(
        &self,
        claims: &[ResolvedClaim],
        session: &mut Option<SessionName>,
        connection: Option<&Connection>,
        random: &mut impl CryptoRng,
    ) -> Place {
        *session = session.take().or_else(|| fresh_name(claims));
        if claims.is_empty() || session.is_some() {
            return self.place(session.as_ref(), None, None, random);
        }
        let Some(connection) = connection else {
            let place = self.place(None, None, None, random);
            *session = Some(SessionName::Number(SessionNumber::random(random)));
            return place;
        };
        connection.with(self.upstream.name(), |before| self.place_provisional(before, session, random))
    }

    /// Balances the first nameless request of a connection. Later ones go to the same server.
    fn place_provisional(
        &self,
        before: Option<Provisional>,
        name: &mut Option<SessionName>,
        random: &mut impl CryptoRng,
    ) -> (Place, Option<Provisional>) {
        let Some(Provisional { session, server, .. }) = before else {
            let place = self.place(None, None, None, random);
            let session = SessionNumber::random(random);
            *name = Some(SessionName::Number(session));
            let begun = place.server().map(|at| Provisional {
                upstream: self.upstream.name().clone(),
                session,
                server: self.upstream.servers()[at].id().clone(),
            });
            return (place, begun);
        };
        *name = Some(SessionName::Number(session));
        let followed = self.upstream.position(&server);
        let admitted = followed.and_then(|at| self.upstream.admit_new(at, self.attempts, self.now));
        (admitted.map_or_else(|| self.place(name.as_ref(), None, followed, random), Place::Taken), None)
    }

    /// Waits for the server that this claim names, if it is full and waiting is configured.
    pub(super) fn await_tied(&self, entry: &Entry, claim: &ResolvedClaim, cause: Cause) -> Option<Place> {
        let timeout = self.wait.left(self.wait_timeout(entry).filter(|_| cause == Cause::Full)?)?;
        let bound = entry.load_factor();
        let mut servers = claim.servers().iter();
        let queued = servers.find_map(|&at| self.upstream.queue_tied(at, bound, self.attempts, self.now))?;
        Some(Place::Awaited(queued, timeout))
    }

    /// How long a session of this entry waits for its server.
    fn wait_timeout(&self, entry: &Entry) -> Option<Duration> {
        let configured = self.upstream.spec().failover.full.wait;
        match (entry.strict, entry.when_full()) {
            (Strict::Refuse(_), _) | (Strict::Off, Some(WhenFull::Keep)) => configured.or(Some(WAIT_TIMEOUT)),
            (Strict::Off, Some(WhenFull::Spill)) => None,
            (Strict::Off, None) => configured,
        }
    }
}

/// The name by which the ring places a session that lost its server, so that its parallel requests go to one server. Several
/// clients may hold a token without a name; their addresses distinguish them.
pub(super) fn name_of_lost(claim: &ResolvedClaim, client: IpAddr) -> Option<SessionName> {
    match claim {
        ResolvedClaim::Tied(_, named) | ResolvedClaim::Unknown(named) => {
            Some(named.session.clone().unwrap_or_else(|| SessionName::of_client(client)))
        }
        ResolvedClaim::Keyed(_, name) | ResolvedClaim::Fresh(name, _) => Some(name.clone()),
        ResolvedClaim::Absent | ResolvedClaim::Bad(_) => None,
    }
}

/// The name of a session without a tie.
fn fresh_name(claims: &[ResolvedClaim]) -> Option<SessionName> {
    claims.iter().find_map(|claim| match claim {
        ResolvedClaim::Fresh(name, _) => Some(name.clone()),
        ResolvedClaim::Bad(Refused { session, .. }) => session.clone(),
        ResolvedClaim::Absent | ResolvedClaim::Tied(..) | ResolvedClaim::Keyed(..) | ResolvedClaim::Unknown(_) => None,
    })
}

impl Place {
    /// The server's position.
    pub(super) fn server(&self) -> Option<usize> {
        match self {
            Self::Taken(pick) => Some(pick.at),
            Self::Awaited(queued, _) => Some(queued.at),
            Self::Nowhere => None,
        }
    }

    /// The servers that it was chosen from.
    pub(super) fn among(&self) -> Among {
        match self {
            Self::Taken(pick) => pick.among,
            Self::Awaited(..) | Self::Nowhere => Among::Up,
        }
    }
}
