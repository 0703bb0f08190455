//! Picks along the ring: the first usable server after a name. A walk passes by the points of servers that are full, as far as the order
//! knows, without a look at them, and ends if none is left.

use super::candidates::Group;
use super::marks::Purpose;
use super::pick::PlaceRequest;
use super::queue::Slot;
use super::server::Server;
use super::spec::Tier;
use super::totals::Sum;
use super::upstream::Upstream;
use crate::session::load_factor::LoadFactor;

/// After so many points, a walk asks whether any server is left.
const STAGE: usize = 1_024;
/// If so few are left, it looks at each.
const FEW: usize = 32;

/// A walk along the ring of a tier.
pub(super) struct Walk<'w> {
    pub(super) tier: Tier,
    pub(super) group: &'w Group,
    pub(super) name: &'w [u8],
    pub(super) purpose: Purpose,
}

impl Upstream {
    /// Takes a slot at the first usable server after `name` on the ring; with a bound, at the first that is not loaded above
    /// it.
    pub(super) fn along_ring(
        &self,
        (tier, group): (Tier, &Group),
        name: &[u8],
        bound: Option<LoadFactor>,
        request: &PlaceRequest<'_>,
        usable: impl Fn(usize) -> bool,
    ) -> Option<(usize, Slot)> {
        let within = self.within((tier, group), bound, request, &usable);
        let take = |at: usize| self.servers()[at].admit_new().map(|slot| (at, slot));
        let found = self.walk(&Walk { tier, group, name, purpose: Purpose::Serve }, |at| usable(at) && within(at), take);
        // None is within the bound only if other requests have just changed the sums.
        found.or_else(|| bound.and_then(|_| self.next_turn(tier, group, &usable)))
    }

    /// What `take` returns for the first server that fits.
    pub(super) fn walk<T>(
        &self,
        walk: &Walk<'_>,
        fits: impl Fn(usize) -> bool,
        take: impl Fn(usize) -> Option<T>,
    ) -> Option<T> {
        let Walk { tier, group, name, purpose } = *walk;
        let board = self.boards().of(tier);
        for (steps, at) in self.ring(tier).walk(name).enumerate() {
            if steps % STAGE == STAGE - 1 && !self.is_any_left(walk, &fits) {
                return None;
            }
            let is_noted = board.is_noted(at);
            if !is_noted && !group.marks.is_good(at, purpose) {
                continue;
            }
            if let Some(taken) = Some(at).filter(|&at| fits(at)).and_then(&take) {
                return Some(taken);
            }
            if is_noted {
                // So that the next walk passes by.
                group.turns.lock().count(&self.all(tier, group), purpose);
            }
        }
        None
    }

    fn is_any_left(&self, walk: &Walk<'_>, fits: impl Fn(usize) -> bool) -> bool {
        let Walk { tier, group, purpose, .. } = *walk;
        let left = group.turns.lock().count(&self.all(tier, group), purpose);
        left > FEW || group.marks.good(purpose).any(fits)
    }

    /// Whether a server is not loaded above the bound, which is relative to all usable servers.
    fn within(
        &self,
        (tier, group): (Tier, &Group),
        bound: Option<LoadFactor>,
        request: &PlaceRequest<'_>,
        usable: impl Fn(usize) -> bool,
    ) -> impl Fn(usize) -> bool {
        let all = bound.map_or_else(Sum::default, |_| self.sum_of_usable(tier, group, request, usable));
        move |at| {
            let server = &self.servers()[at];
            bound.is_none_or(|bound| bound.admits(server.in_flight(), server.weight(), all.requests, all.weights))
        }
    }

    fn sum_of_usable(&self, tier: Tier, group: &Group, request: &PlaceRequest<'_>, usable: impl Fn(usize) -> bool) -> Sum {
        let Some(totals) = &group.totals else {
            self.ask_for_totals();
            return Server::sum(group.members.iter().filter(|&&at| usable(at)).map(|&at| &self.servers()[at]));
        };
        let given_up = request.attempts.all_given_up(self.spec().retry.same_server);
        let parts = given_up.iter().map(|&at| self.servers()[at].queue().counted().part(tier));
        parts.fold(totals.candidates(tier), Sum::without)
    }
}
