//! The effects of a change of a server's condition.

use burdock::ids::UpstreamName;
use burdock::upstream::health::{Condition, Health};
use burdock::upstream::server::Server;

use crate::serve::state::ServingState;

/// Counts the change and, if the server is down, closes the connections that are configured to end with it.
pub fn changed(state: &ServingState, upstream: &UpstreamName, server: &Server, to: Condition) {
    state.metrics.health_changed(upstream, server.id(), to);
    if to.health() == Health::Down {
        let closed = state.close_on_down.close_all_at(server);
        if closed > 0 {
            log::warn!("{upstream}/{}: closed {closed} client connections", server.id());
        }
    }
}
