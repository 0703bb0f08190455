//! `tcp_keepalive` of listeners and upstreams.

use std::num::NonZeroU8;
use std::time::Duration;

use crate::config::schema::map::record;
use crate::config::schema::read::{Hint, Leaf};
use crate::config::schema::scalar::Int;
use crate::config::schema::units::Seconds;
use crate::upstream::spec::TcpKeepalive;

record! {
    "TCP keep-alive" => TcpKeepalive {
        /// The silence on a connection before the first probe.
        idle: ProbeTime = "60s",
        /// The time between two probes.
        interval: ProbeTime = "15s",
        /// How many probes in a row may stay without an answer before the connection is closed.
        count: Int<NonZeroU8, 1, 127> = "4",
    }
}

/// Whole seconds, as many as Linux takes.
pub(crate) struct ProbeTime;

const MAX_SECONDS: u32 = 32_767;

impl Leaf for ProbeTime {
    type Value = Duration;
    const EXPECTED: &'static str = "a duration of whole seconds from 1s to 9h, such as 60s or 5m";

    fn parse(text: &str) -> Result<Duration, Hint> {
        let seconds = Seconds::parse(text)?;
        if seconds > MAX_SECONDS {
            return Err(Hint::by("use at most 9h"));
        }
        Ok(Duration::from_secs(seconds.into()))
    }

    fn schema() -> serde_json::Value {
        Seconds::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::errors::{Findings, Location};
    use crate::config::schema::read::Read;
    use crate::config::schema::tree::Node;

    #[test]
    fn defaults_are_those_of_the_domain_type() {
        let read = TcpKeepalive::read(&Node::literal("{}", Location::default()), &mut Findings::default());
        assert_eq!(read, Some(TcpKeepalive::DEFAULT));
    }

    #[test]
    fn probe_times_are_what_linux_takes() {
        for right in ["1s", "9h", "1000ms"] {
            assert!(ProbeTime::parse(right).is_ok(), "{right}");
        }
        for wrong in ["0s", "500ms", "10h", "1d", "60", "1500ms"] {
            assert!(ProbeTime::parse(wrong).is_err(), "{wrong}");
        }
    }
}
