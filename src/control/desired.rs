//! The desired state: the configuration, runtime overrides, leaving servers, and discovered servers.

use burdock::balancer::overrides::{LeavingServer, Overrides};
use burdock::balancer::spec::Plan;
use burdock::config::Config;
use burdock::sticky::secrets::Secrets;
use burdock::upstream::discovery::Discovered;

use crate::control::store::PersistedState;

/// The desired state.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The file's configuration, except for changes that need a new process.
    pub config: Config,
    pub secrets: Secrets,
    pub changes: Overrides,
    pub leaving: Vec<LeavingServer>,
    /// Servers discovered by DNS since the start.
    pub discovered: Discovered,
}

impl Desired {
    /// The plan of all of it.
    pub fn plan(&self) -> Plan {
        let mut plan = self.wanted();
        LeavingServer::keep(&self.leaving, &mut plan);
        plan
    }

    /// The part that survives a restart.
    pub(super) fn persisted(&self) -> PersistedState {
        PersistedState { changes: self.changes.clone(), leaving: self.leaving.clone() }
    }

    /// The plan of the configuration and the discovered servers, without overrides.
    pub(super) fn discovered_plan(&self) -> Plan {
        self.config.plan.expanded(&self.discovered)
    }

    /// As [`Self::plan`], without leaving servers.
    pub(super) fn wanted(&self) -> Plan {
        let mut plan = self.discovered_plan();
        self.changes.apply(&mut plan);
        plan
    }
}
