//! All that is wanted: the configuration, what operators have changed of it, servers on their way out, and what was found by names.

use burdock::balancer::overrides::{Changes, Leaving};
use burdock::balancer::spec::Plan;
use burdock::config::Config;
use burdock::sticky::secrets::Secrets;
use burdock::upstream::discovery::Discovered;

use crate::control::store::PersistedState;

/// All that is wanted.
#[derive(Clone, Debug)]
pub struct Desired {
    /// As the file has it, but for what only another process can take up.
    pub config: Config,
    pub secrets: Secrets,
    pub changes: Changes,
    pub leaving: Vec<Leaving>,
    /// What was found by names since the process began.
    pub discovered: Discovered,
}

impl Desired {
    /// Everything wanted, in one plan.
    pub fn plan(&self) -> Plan {
        let mut plan = self.wanted();
        Leaving::keep(&self.leaving, &mut plan);
        plan
    }

    /// What of it outlives the process.
    pub(super) fn persisted(&self) -> PersistedState {
        PersistedState { changes: self.changes.clone(), leaving: self.leaving.clone() }
    }

    /// What is configured, and what was found by names.
    pub(super) fn found(&self) -> Plan {
        self.config.plan.expanded(&self.discovered)
    }

    /// The same as [`Self::plan`] without servers that are no longer wanted.
    pub(super) fn wanted(&self) -> Plan {
        let mut plan = self.found();
        self.changes.apply(&mut plan);
        plan
    }
}
