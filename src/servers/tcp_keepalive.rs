//! TCP keep-alive in Pingora's words.

use std::time::Duration;

use burdock::upstream::spec::TcpKeepalive;
use pingora::protocols::TcpKeepalive as PingoraKeepalive;

/// `user_timeout` stays the system's: it would also end connections whose peer is alive and reads nothing for a while.
pub fn to_pingora(keepalive: TcpKeepalive) -> PingoraKeepalive {
    let TcpKeepalive { idle, interval, count } = keepalive;
    PingoraKeepalive { idle, interval, count: count.get().into(), user_timeout: Duration::ZERO }
}
