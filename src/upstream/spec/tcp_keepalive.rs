//! TCP keep-alive: how the system notices that the other end of an idle connection is gone.

use std::num::NonZeroU8;
use std::time::Duration;

/// When the system asks whether the other end is still there, and when it gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpKeepalive {
    /// The silence before the first probe, in whole seconds.
    pub idle: Duration,
    /// The time between two probes, in whole seconds.
    pub interval: Duration,
    /// How many probes in a row may stay without an answer.
    pub count: NonZeroU8,
}

impl TcpKeepalive {
    /// A peer that vanished is noticed within two minutes, and a NAT or firewall sees a packet each minute.
    pub const DEFAULT: Self =
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(15), count: NonZeroU8::new(4).unwrap() };
}
