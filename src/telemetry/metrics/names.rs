//! What is told of names that servers are found by.

use burdock::time::UnixSeconds;
use burdock::upstream::discovery::Lookup;

use super::Metrics;

/// What came of a look-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolved {
    Answered,
    /// Some of its questions were not answered; there the answers of before count.
    Partly,
    /// There is no such name, or it leads to no server.
    Nothing,
    /// There was no answer, or one that says that there is none.
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

    /// Takes note of a good answer.
    pub fn answered(&self, lookup: &Lookup, addresses: usize, now: UnixSeconds) {
        let name = lookup.to_string();
        self.names.answered.with_label_values(&[&name]).set(now.0.into());
        self.names.addresses.with_label_values(&[&name]).set(i64::try_from(addresses).unwrap_or(i64::MAX));
    }

    /// The name is not looked up any more.
    pub fn forget_name(&self, lookup: &Lookup) {
        let name = lookup.to_string();
        // What was never counted is not there, which is no matter.
        let _ = self.names.answered.remove_label_values(&[&name]);
        let _ = self.names.addresses.remove_label_values(&[&name]);
        for resolved in Resolved::ALL {
            let _ = self.names.lookups.remove_label_values(&[name.as_str(), resolved.as_str()]);
        }
    }
}
