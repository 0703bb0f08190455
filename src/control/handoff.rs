//! The state that the next process gets first, before the session tables: the clocks to continue, addresses that need no test
//! for listening, runtime overrides, discovered servers, and the servers' state.

use std::net::SocketAddr;

use burdock::balancer::handoff::BalancerHandoff;
use burdock::balancer::overrides::{LeavingServer, Overrides};
use burdock::session::clock_steps::StepsHandoff;
use burdock::time::Uptime;
use burdock::upstream::discovery::Discovered;
use serde::{Deserialize, Serialize};

/// Unknown fields are skipped and missing fields are empty: either process may be the older version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ProcessHandoff {
    pub uptime: Uptime,
    pub clock_steps: StepsHandoff,
    /// The addresses of the sockets that follow later.
    pub addresses: Vec<SocketAddr>,
    pub changes: Overrides,
    pub leaving: Vec<LeavingServer>,
    pub discovered: Discovered,
    pub servers: BalancerHandoff,
}
