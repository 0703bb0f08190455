//! The state that all requests share. It knows no admin service, upgrade or disk: their state is in the process state.

use std::sync::Arc;

use arc_swap::ArcSwap;
use burdock::config::values::Listener;
use burdock::upstream::Upstream;
use burdock::upstream::outlier::Ejection;

use crate::client::close_on_down::CloseOnDown;
use crate::client::connections::Connections;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::runtime::warn_limit::WarnLimit;
use crate::serve::generation::Generation;
use crate::serve::untrusted_proxies::UntrustedProxies;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::{Metrics, Shortage};
use crate::telemetry::request_record::RecordSinks;

/// Called when a request makes its upstream eject a server.
pub type OnEjection = fn(&Arc<ServingState>, &Upstream, usize, Ejection);

#[derive(Debug)]
pub struct ServingState {
    pub clock: Clock,
    pub listeners: Vec<Listener>,
    /// The current generation.
    pub generation: ArcSwap<Generation>,
    pub metrics: Arc<Metrics>,
    pub access_log: AccessLog,
    /// Where request records go.
    pub record_sinks: Arc<RecordSinks>,
    /// Client connections.
    pub connections: Connections,
    /// Those of them that may bring another request, and the previous process while it may get some.
    pub askers: Connections,
    pub readiness: Readiness,
    pub close_on_down: Arc<CloseOnDown>,
    pub on_ejection: OnEjection,
    pub untrusted_proxies: UntrustedProxies,
    pub shortage_warnings: WarnLimit,
    pub loop_warnings: WarnLimit,
}

impl ServingState {
    /// Reports that a request for this upstream came back to Burdock until its passes were used up.
    pub fn went_round(&self, upstream: &Upstream) {
        self.loop_warnings.warn(self.clock.uptime(), |left_out| {
            log::error!(
                "{}: a request has passed ten Burdocks and gets 508: a server of this upstream, or what is behind it, leads back to \
                 Burdock (further ones since the last message: {left_out})",
                upstream.name()
            );
        });
    }

    /// Counts and reports that a connection to a server could not be opened for lack of something on this host.
    pub fn short_of(&self, what: Shortage) {
        self.metrics.short_of(what);
        self.shortage_warnings.warn(self.clock.uptime(), |left_out| {
            log::error!(
                "cannot connect to servers: this host has no {} left (further failures since the last message: {left_out}). \
                 Requests get 503; the servers are not to blame, and no session moves",
                match what {
                    Shortage::Descriptors => "file descriptors (see LimitNOFILE= and fs.file-max)",
                    Shortage::Ports => "local ports (see net.ipv4.ip_local_port_range)",
                    Shortage::Memory => "memory for sockets",
                }
            );
        });
    }
}
