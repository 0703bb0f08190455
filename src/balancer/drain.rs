//! Drains: whether sessions still need a server, and when its drain is complete. It only reads; it removes no server.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::ids::{ServerId, UpstreamName};
use crate::sticky::entry::Entry;
use crate::time::{Now, UnixSeconds};
use crate::upstream::server::Server;
use crate::upstream::spec::{Admin, Removal, ServerSpec};

use super::balancer::Balancer;
use super::overrides::LeavingServer;
use super::spec::{Plan, StickyUpstreamSpec};
use super::sticky_upstream::{Sessions, StickyUpstream};

/// Without an idle time, a session that has not been seen for this long counts as ended.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The progress of a server's drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainProgress {
    pub admin: Admin,
    /// Requests and streams in flight there.
    pub in_flight: u32,
    /// Only shown; the stage does not depend on it.
    pub sessions: Sessions,
    /// How long no session of the server has been seen.
    pub quiet: Duration,
    /// How long it must be quiet until no session can come back.
    pub needed: Duration,
    pub stage: DrainStage,
}

/// The stage of a server's drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrainStage {
    /// It accepts new sessions: it does not drain.
    Serving,
    /// Sessions that are tied to it may still come, or requests are in flight.
    Draining,
    /// No session can come any more and nothing is in flight: it can be switched off.
    Complete,
}

impl StickyUpstream {
    /// The drain progress of the server at this position.
    ///
    /// The drain is complete when nothing is in flight and no request has named the server for eleven tenths of the idle
    /// time, because a token stays valid for a tenth longer. This is exact; the session counts do not matter. In
    /// maintenance, or after the drain's deadline, only requests in flight matter.
    pub fn draining(&self, at: usize, now: Now) -> DrainProgress {
        let server = &self.upstream().servers()[at];
        let (admin, in_flight) = (server.spec().admin, server.in_flight());
        let (quiet, needed) = (server.quiet_for(now), self.needed());
        let closed = admin == Admin::Maint || admin.deadline_passed(now.wall);
        let stage = if is_serving(server) {
            DrainStage::Serving
        } else if in_flight == 0 && (closed || quiet >= needed) {
            DrainStage::Complete
        } else {
            DrainStage::Draining
        };
        DrainProgress { admin, in_flight, sessions: self.sessions(at, now), quiet, needed, stage }
    }

    /// The positions of the servers that drain, or have drained.
    pub fn drains(&self) -> impl Iterator<Item = usize> {
        let servers = self.upstream().servers().iter().enumerate();
        servers.filter(|(_, server)| !is_serving(server)).map(|(at, _)| at)
    }

    /// The longest pause after which a session of this upstream may come back: the largest idle time of its entries.
    pub fn idle(&self) -> Duration {
        let of_entries = self.chain().entries().iter().filter_map(Entry::idle);
        of_entries.max().map_or(IDLE, |idle| Duration::from_secs(idle.into()))
    }
}

impl Balancer {
    /// The servers that `plan` removes from this configuration and that must stay for their sessions, according to the
    /// plan's `removed_servers`. Servers that were leaving already keep their date. If the whole upstream is removed, its
    /// servers do not stay.
    pub fn leaving(&self, plan: &Plan, now: Now) -> Vec<LeavingServer> {
        let by_name: HashMap<&UpstreamName, &StickyUpstreamSpec> =
            plan.upstreams.iter().map(|next| (&next.upstream.name, next)).collect();
        let next = |before: &StickyUpstream| by_name.get(before.name()).copied();
        self.upstreams()
            .iter()
            .filter_map(|before| Some((before, next(before)?)))
            .flat_map(|(before, next)| before.leaving(next, now))
            .collect()
    }
}

impl StickyUpstream {
    fn leaving(&self, next: &StickyUpstreamSpec, now: Now) -> Vec<LeavingServer> {
        let kept: HashSet<&ServerId> = next.upstream.servers.iter().map(|server| &server.id).collect();
        let gone = self.upstream().servers().iter().filter(|server| !kept.contains(server.id()));
        gone.filter_map(|server| {
            let until = leaves(server.spec().admin, next.upstream.removal, now)?;
            let spec = ServerSpec { admin: Admin::Leaving { until }, ..(**server.spec()).clone() };
            let over = spec.admin.deadline_passed(now.wall) || self.is_quiet(server, now);
            (!over || server.in_flight() > 0).then(|| LeavingServer::new(self.upstream().name(), &spec, until))
        })
        .collect()
    }

    fn is_quiet(&self, server: &Server, now: Now) -> bool {
        server.quiet_for(now) >= self.needed()
    }

    /// The idle time, and the tenth by which a token outlasts it.
    fn needed(&self) -> Duration {
        self.idle() + self.idle() / 10
    }
}

fn is_serving(server: &Server) -> bool {
    server.spec().admin == Admin::Ready && server.weight() > 0
}

/// A removed server's deadline, if it has one. None if it is removed at once.
fn leaves(before: Admin, removal: Removal, now: Now) -> Option<Option<UnixSeconds>> {
    let in_time = |time: Duration| UnixSeconds(now.wall.0.saturating_add(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)));
    match (before, removal) {
        // It served no sessions.
        (Admin::Maint, _) | (_, Removal::Forget) => None,
        (Admin::Leaving { until }, _) => Some(until),
        (Admin::Drain { until: Some(until), .. }, Removal::Drain) => Some(Some(until)),
        (Admin::Drain { until: Some(until), .. }, Removal::DrainFor(time)) => Some(Some(until.min(in_time(time)))),
        (Admin::Ready | Admin::Drain { until: None, .. }, Removal::Drain) => Some(None),
        (Admin::Ready | Admin::Drain { until: None, .. }, Removal::DrainFor(time)) => Some(Some(in_time(time))),
    }
}

impl DrainProgress {
    /// When the server stops serving its sessions, even if some are left.
    pub fn until(&self) -> Option<UnixSeconds> {
        match self.admin {
            Admin::Drain { until, .. } | Admin::Leaving { until } => until,
            Admin::Ready | Admin::Maint => None,
        }
    }
}
