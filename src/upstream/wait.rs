//! Where a request without a tie waits if all servers are full.

use smallvec::SmallVec;

use super::attempts::Attempts;
use super::candidates::Group;
use super::marks::Purpose;
use super::pick::{Placement, TIERS};
use super::queue::rank::Rank;
use super::ring_pick::Walk;
use super::spec::Tier;
use super::turns::Waiting;
use super::upstream::{Queued, Upstream};
use crate::time::Now;

impl Upstream {
    /// Queues a request without a tie when all servers are full: at `followed` if given, else at the first full server
    /// after the session's name, or for a session without a name at the server with the least demand. None if no server
    /// is worth waiting for.
    pub fn queue_new(
        &self,
        placement: Placement<'_>,
        followed: Option<usize>,
        attempts: &Attempts,
        now: Now,
    ) -> Option<Queued> {
        let length = self.spec().queue.length;
        let worth_waiting = |at: usize| {
            let server = &self.servers()[at];
            let may_wait = server.would_accept_new() && server.spec().max_conns.is_some() && server.waiting() < length;
            may_wait && !self.given_up(at, attempts)
        };
        let queue = |at: usize| self.servers()[at].queue_up(Rank::New, length).map(|ticket| Queued { at, ticket });
        followed.filter(|&at| worth_waiting(at)).and_then(queue).or_else(|| {
            let candidates = self.candidates(now.uptime);
            TIERS.into_iter().find_map(|tier| match placement {
                Placement::Ring(name) | Placement::Bounded(name, _) => {
                    let group = candidates.of(tier);
                    self.walk(&Walk { tier, group, name, purpose: Purpose::Wait }, worth_waiting, queue)
                }
                Placement::Balance(_) => self.queue_by_demand(tier, candidates.of(tier), worth_waiting, queue),
            })
        })
    }

    fn queue_by_demand(
        &self,
        tier: Tier,
        group: &Group,
        worth_waiting: impl Fn(usize) -> bool,
        queue: impl Fn(usize) -> Option<Queued>,
    ) -> Option<Queued> {
        let mut refused = SmallVec::<[usize; 4]>::new();
        loop {
            let unusable = |at: usize| !worth_waiting(at) || refused.contains(&at);
            let next = group.turns.lock().least_demand(&self.all(tier, group), unusable);
            match next {
                Waiting::At(at) => match queue(at) {
                    Some(queued) => return Some(queued),
                    None => refused.push(at),
                },
                Waiting::Nobody => return None,
                Waiting::Again => {}
            }
        }
    }
}
