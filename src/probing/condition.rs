//! What a change of a server's condition brings with it.

use burdock::ids::UpstreamName;
use burdock::upstream::health::{Condition, Health};
use burdock::upstream::server::Server;

use crate::serve::state::ServingState;

/// Counts the change and closes connections where they are to end with the server, whoever has noticed it.
pub fn changed(state: &ServingState, upstream: &UpstreamName, server: &Server, to: Condition) {
    state.metrics.health_changed(upstream, server.id(), to);
    if to.health() == Health::Down {
        let closed = state.close_on_down.close_all_at(server);
        if closed > 0 {
            log::warn!("{upstream}/{}: {closed} client connections closed", server.id());
        }
    }
}
