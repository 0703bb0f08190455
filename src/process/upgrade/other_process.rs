//! What the two processes of an upgrade tell each other of servers and overrides while both serve.

use burdock::balancer::handoff::BalancerHandoff;
use burdock::upstream::health::Condition;

use crate::control::change::Control;
use crate::control::handoff::ProcessHandoff;
use crate::probing::{condition, probe};

/// Adopts what the old process knows of servers.
pub fn adopt_from_predecessor(control: &Control, state: &ProcessHandoff) {
    adopt_servers(control, &state.servers);
}

/// Adopts what the new process knows of servers, and its overrides: changes are made there.
pub fn adopt_from_successor(control: &Control, state: &ProcessHandoff) {
    if let Err(error) = control.adopt_overrides(&state.changes) {
        log::error!("cannot apply the overrides of the new process: {error}");
    }
    adopt_servers(control, &state.servers);
}

fn adopt_servers(control: &Control, servers: &BalancerHandoff) {
    let serving = &control.state.serving;
    serving.generation.load().balancer.adopt(servers, |upstream, server, to| {
        log::info!("{upstream}/{}: {} at the other process", server.id(), to.as_str());
        condition::changed(serving, upstream, server, to);
        if to == Condition::Ejected
            && let Some(runtime) = control.state.probing_runtime.get()
        {
            // The other process may end before the ejection does.
            runtime.spawn(probe::bring_back_adopted(serving, upstream, server));
        }
    });
}
