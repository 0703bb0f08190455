//! What a successor is told at once, all but the session tables: the uptime that it goes on with, where it need not find out
//! whether it can listen, what operators have changed, what was found by names, and what is known of servers.

use std::net::SocketAddr;

use burdock::balancer::handoff::BalancerHandoff;
use burdock::balancer::overrides::{Changes, Leaving};
use burdock::time::Uptime;
use burdock::upstream::discovery::Discovered;
use serde::{Deserialize, Serialize};

/// Fields that are not known are skipped, and those that are missing empty: either process may be the older one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ProcessHandoff {
    pub uptime: Uptime,
    /// Those of the sockets that it gets later.
    pub addresses: Vec<SocketAddr>,
    pub changes: Changes,
    pub leaving: Vec<Leaving>,
    pub discovered: Discovered,
    pub servers: BalancerHandoff,
}
