//! What every request shares. It knows no admin service, upgrade or disk: what only these need is in the process's state.

use std::sync::Arc;

use arc_swap::ArcSwap;
use burdock::config::values::Listener;
use burdock::upstream::Upstream;
use burdock::upstream::outlier::Ejection;

use crate::client::close_on_down::CloseOnDown;
use crate::client::connections::Connections;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::serve::generation::Generation;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_record::RecordSinks;

/// Called when a request has made its upstream eject the server at this position.
pub type OnEjection = fn(&Arc<ServingState>, &Upstream, usize, Ejection);

#[derive(Debug)]
pub struct ServingState {
    pub clock: Clock,
    pub listeners: Vec<Listener>,
    /// The configuration in force.
    pub generation: ArcSwap<Generation>,
    pub metrics: Arc<Metrics>,
    pub access_log: AccessLog,
    /// Where records of requests go.
    pub record_sinks: Arc<RecordSinks>,
    /// Of clients.
    pub connections: Connections,
    pub readiness: Readiness,
    pub close_on_down: Arc<CloseOnDown>,
    pub on_ejection: OnEjection,
}
