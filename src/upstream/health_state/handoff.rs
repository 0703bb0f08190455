//! What one process leaves to the next of what is believed of a server. Times are those of the uptime clock, with which the next
//! one goes on.

use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crate::time::Uptime;
use crate::upstream::health::Health;
use crate::upstream::outlier::Outlier;
use crate::upstream::spec::UpstreamSpec;

use super::{Belief, Held, NEVER, Origin, Vitals, encode, millis};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct VitalsLegacy {
    belief: Belief,
    changed: Uptime,
    risen: Option<Uptime>,
    #[serde(default)]
    outlier: Outlier,
}

impl Vitals {
    pub(crate) fn legacy(&self) -> VitalsLegacy {
        let held = self.held.lock();
        VitalsLegacy { belief: held.belief, changed: self.changed(), risen: self.risen(), outlier: held.outlier.clone() }
    }

    /// Goes on with what another process believed of the same server, as far as this configuration looks at it in that way.
    pub(crate) fn inherit(&self, legacy: &VitalsLegacy, upstream: &UpstreamSpec) {
        let checked = upstream.health_check.is_some();
        let belief = match legacy.belief {
            // What was in use stays in use until a check says otherwise.
            Belief::Up if !checked => Belief::Assumed,
            Belief::Up | Belief::Assumed => legacy.belief,
            Belief::Down if checked => Belief::Down,
            Belief::Down | Belief::Unchecked => return,
        };
        let outlier = upstream.passive_health.as_ref().map(|_| legacy.outlier.clone()).unwrap_or_default();
        let mut held = self.held.lock();
        *held = Held { belief, outlier, origin: Origin::Later };
        self.condition.store(encode(held.condition()), Relaxed);
        self.changed.store(millis(legacy.changed), Relaxed);
        self.risen.store(legacy.risen.map_or(NEVER, millis), Relaxed);
        self.has_row.store(held.outlier.has_row(), Relaxed);
    }

    /// When a probe is due, where the server is ejected.
    pub fn held_until(&self) -> Option<Uptime> {
        let held = self.held.lock();
        held.outlier.held_until().filter(|_| held.belief.health() != Health::Unchecked)
    }
}
