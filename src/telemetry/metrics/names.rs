//! Metrics of DNS names.

use burdock::time::UnixSeconds;
use burdock::upstream::discovery::Lookup;

use super::Metrics;

/// The result of a lookup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolved {
    Answered,
    /// Some queries failed; their previous answers stay.
    Partly,
    /// The name does not exist or has no server.
    Nothing,
    /// There was no answer, or an error.
    Failed,
}

impl Resolved {
    const ALL: [Self; 4] = [Self::Answered, Self::Partly, Self::Nothing, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Partly => "partly",
            Self::Nothing => "nothing",
            Self::Failed => "failed",
        }
    }
}

impl Metrics {
    pub fn looked_up(&self, lookup: &Lookup, resolved: Resolved) {
        self.names.lookups.with_label_values(&[lookup.to_string().as_str(), resolved.as_str()]).inc();
    }

    /// Records a good answer.
    pub fn answered(&self, lookup: &Lookup, addresses: usize, now: UnixSeconds) {
        let name = lookup.to_string();
        self.names.answered.with_label_values(&[&name]).set(now.0.into());
        self.names.addresses.with_label_values(&[&name]).set(i64::try_from(addresses).unwrap_or(i64::MAX));
    }

    /// Removes the series of a name that is no longer looked up.
    pub fn forget_name(&self, lookup: &Lookup) {
        let name = lookup.to_string();
        // Fails for series that were never created.
        let _ = self.names.answered.remove_label_values(&[&name]);
        let _ = self.names.addresses.remove_label_values(&[&name]);
        for resolved in Resolved::ALL {
            let _ = self.names.lookups.remove_label_values(&[name.as_str(), resolved.as_str()]);
        }
    }
}
