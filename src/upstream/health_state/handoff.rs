//! The health of a server that an upgrade hands over to the new process. Times are of the uptime clock, which the new
//! process continues.

use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crate::time::Uptime;
use crate::upstream::failover::Cause;
use crate::upstream::health::{Condition, Health};
use crate::upstream::outlier::Outlier;
use crate::upstream::spec::UpstreamSpec;

use super::{CheckState, HealthState, Inner, NEVER, Origin, encode, millis};

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
        let inner = self.inner.lock();
        HealthHandoff {
            checks: inner.checks,
            changed: self.changed(),
            up_since: self.up_since(),
            outlier: inner.outlier.clone(),
        }
    }

    /// Restores the health of the same server from another process, as far as this configuration still checks it in
    /// that way.
    pub(crate) fn inherit(&self, handoff: &HealthHandoff, upstream: &UpstreamSpec) {
        let checked = upstream.health_check.is_some();
        let checks = match handoff.checks {
            // A server in use stays in use until a check fails.
            CheckState::Up if !checked => CheckState::Assumed,
            CheckState::Up | CheckState::Assumed => handoff.checks,
            CheckState::Down if checked => CheckState::Down,
            CheckState::Down | CheckState::Unchecked => return,
        };
        let outlier = upstream.passive_health.as_ref().map(|_| handoff.outlier.clone()).unwrap_or_default();
        let mut inner = self.inner.lock();
        *inner = Inner { checks, wish: inner.wish, outlier, origin: Origin::Later };
        self.condition.store(encode(inner.condition()), Relaxed);
        self.changed.store(millis(handoff.changed), Relaxed);
        self.up_since.store(handoff.up_since.map_or(NEVER, millis), Relaxed);
        self.has_failures.store(inner.outlier.has_failures(), Relaxed);
        self.queue.health_changed();
    }

    /// Restores the health from another process that serves at the same time, if it changed there later than here. Returns the new
    /// condition if it is another.
    pub(crate) fn adopt(&self, handoff: &HealthHandoff, upstream: &UpstreamSpec) -> Option<Condition> {
        if millis(handoff.changed) <= millis(self.changed()) {
            return None;
        }
        let before = self.condition();
        self.inherit(handoff, upstream);
        let after = self.condition();
        if after != Condition::Up {
            self.queue.close(Cause::Down);
        }
        (after != before).then_some(after)
    }

    /// When the next probe is due, if the server is ejected.
    pub fn ejected_until(&self) -> Option<Uptime> {
        let inner = self.inner.lock();
        inner.outlier.ejected_until().filter(|_| inner.checks.health() != Health::Unchecked)
    }
}
