//! What one process leaves to the next of what is believed of a server. Times are those of the uptime clock, with which the next
//! one goes on.

use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crate::time::Uptime;
use crate::upstream::health::Health;
use crate::upstream::outlier::Outlier;
use crate::upstream::spec::UpstreamSpec;

use super::{CheckState, HealthState, Held, NEVER, Origin, encode, millis};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct HealthHandoff {
    #[serde(rename = "belief")]
    checks: CheckState,
    changed: Uptime,
    #[serde(rename = "risen")]
    up_since: Option<Uptime>,
    #[serde(default)]
    outlier: Outlier,
}

impl HealthState {
    pub(crate) fn handoff(&self) -> HealthHandoff {
        let held = self.held.lock();
        HealthHandoff {
            checks: held.checks,
            changed: self.changed(),
            up_since: self.up_since(),
            outlier: held.outlier.clone(),
        }
    }

    /// Goes on with what another process believed of the same server, as far as this configuration looks at it in that way.
    pub(crate) fn inherit(&self, handoff: &HealthHandoff, upstream: &UpstreamSpec) {
        let checked = upstream.health_check.is_some();
        let checks = match handoff.checks {
            // What was in use stays in use until a check says otherwise.
            CheckState::Up if !checked => CheckState::Assumed,
            CheckState::Up | CheckState::Assumed => handoff.checks,
            CheckState::Down if checked => CheckState::Down,
            CheckState::Down | CheckState::Unchecked => return,
        };
        let outlier = upstream.passive_health.as_ref().map(|_| handoff.outlier.clone()).unwrap_or_default();
        let mut held = self.held.lock();
        *held = Held { checks, outlier, origin: Origin::Later };
        self.condition.store(encode(held.condition()), Relaxed);
        self.changed.store(millis(handoff.changed), Relaxed);
        self.up_since.store(handoff.up_since.map_or(NEVER, millis), Relaxed);
        self.has_row.store(held.outlier.has_row(), Relaxed);
    }

    /// When a probe is due, where the server is ejected.
    pub fn ejected_until(&self) -> Option<Uptime> {
        let held = self.held.lock();
        held.outlier.ejected_until().filter(|_| held.checks.health() != Health::Unchecked)
    }
}
