//! Whether a server is still needed by sessions: what draining counts, and when it is over.

use std::collections::HashSet;
use std::time::Duration;

use crate::ids::ServerId;
use crate::sticky::entry::Entry;
use crate::time::{Now, UnixSeconds};
use crate::upstream::server::Server;
use crate::upstream::spec::{Admin, Removal, ServerSpec};

use super::balancer::Balancer;
use super::overrides::LeavingServer;
use super::spec::{Plan, StickyUpstreamSpec};
use super::sticky_upstream::{Sessions, StickyUpstream};

/// Without an idle time a session counts as gone that has not shown itself for so long.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// How far the sessions of a server are gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainProgress {
    pub admin: Admin,
    /// Requests and streams under way there.
    pub in_flight: u32,
    /// What shows the way; it does not decide.
    pub sessions: Sessions,
    /// How long no session of the server has shown itself.
    pub quiet: Duration,
    /// How long it must be quiet until none can come any more.
    pub needed: Duration,
    pub stage: DrainStage,
}

/// Where a server stands on its way out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrainStage {
    /// It takes new sessions: it is not on its way out.
    Serving,
    /// Sessions may come that are tied to it, or requests are under way.
    Draining,
    /// No session can come any more, and nothing is under way: it can be switched off.
    Complete,
}

impl StickyUpstream {
    /// How far the server at this position has drained.
    ///
    /// It is complete when nothing is in flight and no request has named it for its idle time, the tenth included for which a
    /// token is good beyond that: exact, whatever the counts of sessions say. In maintenance, or after a drain's deadline,
    /// only what is in flight counts.
    pub fn draining(&self, at: usize, now: Now) -> DrainProgress {
        let server = &self.upstream().servers()[at];
        let (admin, in_flight) = (server.spec().admin, server.in_flight());
        let (quiet, needed) = (server.quiet_for(now), self.needed());
        let closed = admin == Admin::Maint || admin.deadline_passed(now.wall);
        let stage = if admin == Admin::Ready && server.weight() > 0 {
            DrainStage::Serving
        } else if in_flight == 0 && (closed || quiet >= needed) {
            DrainStage::Complete
        } else {
            DrainStage::Draining
        };
        DrainProgress { admin, in_flight, sessions: self.sessions(at, now), quiet, needed, stage }
    }

    /// The longest that a session of this upstream may be silent and come back: the largest idle time of its entries.
    pub fn idle(&self) -> Duration {
        let of_entries = self.chain().entries().iter().filter_map(Entry::idle);
        of_entries.max().map_or(IDLE, |idle| Duration::from_secs(idle.into()))
    }
}

impl Balancer {
    /// The servers of this configuration that `plan` has no more and that must stay for their sessions, by what the plan says
    /// of removed servers. Those that were leaving already go on with their date. Where the whole upstream is gone, so are
    /// its sessions.
    pub fn leaving(&self, plan: &Plan, now: Now) -> Vec<LeavingServer> {
        let next = |before: &StickyUpstream| plan.upstreams.iter().find(|next| next.upstream.name == *before.name());
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

    /// Idle time, and the tenth for which a token is good beyond it.
    fn needed(&self) -> Duration {
        self.idle() + self.idle() / 10
    }
}

/// Until when a server that is no longer wanted leaves. None: it is gone at once.
fn leaves(before: Admin, removal: Removal, now: Now) -> Option<Option<UnixSeconds>> {
    let in_time = |time: Duration| UnixSeconds(now.wall.0.saturating_add(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)));
    match (before, removal) {
        // Nobody was served there.
        (Admin::Maint, _) | (_, Removal::Forget) => None,
        (Admin::Leaving { until }, _) => Some(until),
        (Admin::Drain { until: Some(until), .. }, Removal::Drain) => Some(Some(until)),
        (Admin::Drain { until: Some(until), .. }, Removal::DrainFor(time)) => Some(Some(until.min(in_time(time)))),
        (Admin::Ready | Admin::Drain { until: None, .. }, Removal::Drain) => Some(None),
        (Admin::Ready | Admin::Drain { until: None, .. }, Removal::DrainFor(time)) => Some(Some(in_time(time))),
    }
}

impl DrainProgress {
    /// When the server stops serving its sessions whatever is left of them.
    pub fn until(&self) -> Option<UnixSeconds> {
        match self.admin {
            Admin::Drain { until, .. } | Admin::Leaving { until } => until,
            Admin::Ready | Admin::Maint => None,
        }
    }
}
