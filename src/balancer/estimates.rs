//! Estimates the sessions of each server whose ties are tokens: only clients hold tokens, so they cannot be counted.

use std::sync::Arc;

use crate::ids::ServerId;
use crate::session::estimate::Estimate;
use crate::session::number::SessionNumber;
use crate::sticky::chain::Chain;
use crate::sticky::entry::Entry;
use crate::time::UnixSeconds;
use crate::upstream::Upstream;
use crate::upstream::server::Server;

#[derive(Debug)]
pub(super) struct Estimates {
    idle: u32,
    by_server: Box<[Arc<Estimate>]>,
}

impl Estimates {
    /// None if no entry's tokens have an idle time. Counting continues from `earlier` if that time is the same.
    pub(super) fn new(chain: &Chain, upstream: &Upstream, earlier: Option<(&Upstream, &Self)>) -> Option<Self> {
        let idle = chain.entries().iter().filter_map(Entry::token_idle).max()?;
        let before = earlier.filter(|(_, before)| before.idle == idle);
        let kept = |id: &ServerId| {
            before.and_then(|(upstream, before)| Some(Arc::clone(&before.by_server[upstream.position(id)?])))
        };
        let estimate = |server: &Server| kept(server.id()).unwrap_or_else(|| Arc::new(Estimate::new(idle)));
        Some(Self { idle, by_server: upstream.servers().iter().map(estimate).collect() })
    }

    /// A token of this session was made for the server at this position.
    pub(super) fn seen(&self, at: usize, session: SessionNumber, now: UnixSeconds) {
        self.by_server[at].record(session, now);
    }

    /// The estimated number of live sessions of the server at this position.
    pub(super) fn live(&self, at: usize, now: UnixSeconds) -> u64 {
        self.by_server[at].live(now)
    }
}
