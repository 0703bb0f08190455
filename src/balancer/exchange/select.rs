//! Where a request goes that its claims do not decide: by the ring where its session has a name, with its connection's others or
//! by balance where it has none. What the claims come to is decided before; here nobody asks why the tie is not kept.

use std::sync::Arc;
use std::time::Duration;

use rand_core::CryptoRng;

use super::super::connection::{Connection, Provisional};
use super::{Exchange, Standing, bound_of};
use crate::session::claim::Refused;
use crate::session::load_factor::LoadFactor;
use crate::session::name::SessionName;
use crate::session::number::SessionNumber;
use crate::time::Now;
use crate::upstream::{Among, Pick, Placement, Queued};

/// Where a request gets its place.
pub(crate) enum Place {
    Taken(Pick),
    /// For so long it waits there.
    Awaited(Queued, Duration),
    Nowhere,
}

impl Exchange {
    /// A session that has lost its server goes by the ring, so that its parallel requests agree. A token without a name may
    /// be many clients', whom their addresses tell apart.
    pub(crate) fn place_named(&mut self, entry: usize, now: Now, random: &mut impl CryptoRng) -> Place {
        if self.session.is_none() {
            self.session = match &self.standings[entry] {
                Standing::Tied(_, named) | Standing::Unknown(named) => {
                    Some(named.session.clone().unwrap_or_else(|| SessionName::of_client(self.facts.client)))
                }
                Standing::Keyed(_, name) => Some(name.clone()),
                Standing::Fresh(name, _) => Some(name.clone()),
                Standing::Absent | Standing::Bad(_) => None,
            };
        }
        self.place(bound_of(&self.pool.chain.entries()[entry]), None, now, random)
    }

    pub(crate) fn place_new(&mut self, connection: Option<&Connection>, now: Now, random: &mut impl CryptoRng) -> Place {
        self.session = self.session.take().or_else(|| self.fresh_name());
        if self.standings.is_empty() || self.session.is_some() {
            return self.place(None, None, now, random);
        }
        let Some(connection) = connection else {
            let place = self.place(None, None, now, random);
            self.session = Some(SessionName::Number(SessionNumber::random(random)));
            return place;
        };
        let pool = Arc::clone(&self.pool);
        connection.with(pool.upstream.name(), |provisional| self.place_provisional(provisional, now, random))
    }

    /// The name of a session that nothing ties yet.
    fn fresh_name(&self) -> Option<SessionName> {
        self.standings.iter().find_map(|standing| match standing {
            Standing::Fresh(name, _) => Some(name.clone()),
            Standing::Bad(Refused { session, .. }) => session.clone(),
            Standing::Absent | Standing::Tied(..) | Standing::Keyed(..) | Standing::Unknown(_) => None,
        })
    }

    /// The first nameless request of a connection is balanced; those after it follow it.
    fn place_provisional(
        &mut self,
        before: Option<Provisional>,
        now: Now,
        random: &mut impl CryptoRng,
    ) -> (Place, Option<Provisional>) {
        let Some(Provisional { session, server, .. }) = before else {
            let place = self.place(None, None, now, random);
            let session = SessionNumber::random(random);
            self.session = Some(SessionName::Number(session));
            let upstream = &self.pool.upstream;
            let begun = place.server().map(|at| Provisional {
                upstream: upstream.name().clone(),
                session,
                server: upstream.servers()[at].id().clone(),
            });
            return (place, begun);
        };
        self.session = Some(SessionName::Number(session));
        let followed = self.pool.upstream.position(&server);
        let admitted = followed.and_then(|at| self.pool.upstream.admit_new(at, &self.tried));
        (admitted.map_or_else(|| self.place(None, followed, now, random), Place::Taken), None)
    }

    /// A place for a request that no tie decides. If it has to wait, then rather at `followed`.
    fn place(&self, bound: Option<LoadFactor>, followed: Option<usize>, now: Now, random: &mut impl CryptoRng) -> Place {
        let name = self.session.as_ref().map(SessionName::octets);
        let placement = match (&name, bound) {
            (Some(name), Some(bound)) => Placement::Bounded(name, bound),
            (Some(name), None) => Placement::Ring(name),
            (None, _) => Placement::Balance(self.hash_key.as_deref()),
        };
        let upstream = &self.pool.upstream;
        if let Some(pick) = upstream.place(placement, &self.tried, now, random) {
            return Place::Taken(pick);
        }
        let patience = upstream.spec().queue.new_sessions.and_then(|patience| self.wait.left(patience));
        let awaited = patience.and_then(|patience| Some((upstream.queue_new(placement, followed, &self.tried)?, patience)));
        awaited.map_or(Place::Nowhere, |(queued, patience)| Place::Awaited(queued, patience))
    }
}

impl Place {
    /// The server's position.
    pub(crate) fn server(&self) -> Option<usize> {
        match self {
            Self::Taken(pick) => Some(pick.at),
            Self::Awaited(queued, _) => Some(queued.at),
            Self::Nowhere => None,
        }
    }

    /// Which servers it was chosen from.
    pub(crate) fn among(&self) -> Among {
        match self {
            Self::Taken(pick) => pick.among,
            Self::Awaited(..) | Self::Nowhere => Among::Up,
        }
    }
}
