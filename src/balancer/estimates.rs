//! About how many sessions live on each server by tokens, which clients carry and Burdock does not keep.

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
    /// None where no entry's tokens have an idle time. What was counted for `earlier` goes on, where that time is the same.
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

    /// About how many sessions live on the server at this position.
    pub(super) fn live(&self, at: usize, now: UnixSeconds) -> u64 {
        self.by_server[at].live(now)
    }
}
