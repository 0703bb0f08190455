//! Makes the peer that Pingora connects to from a server. It sets all timeouts: Pingora's default is to wait forever.

use std::time::Duration;

use burdock::upstream::spec::{Address, ServerSpec, Timeouts};
use pingora::upstreams::peer::{HttpPeer, PeerOptions};

/// An invalid socket path.
#[derive(Debug, thiserror::Error)]
#[error("server {server}: {path} is not a valid socket path (at most 107 bytes)")]
pub struct PeerError {
    server: String,
    path: String,
}

/// Makes the peer of a server; `read` is the timeout of each read.
pub fn make(server: &ServerSpec, timeouts: Timeouts, read: Duration) -> Result<HttpPeer, PeerError> {
    let mut peer = match &server.address {
        // A SocketAddr needs no DNS lookup, so this neither blocks nor fails.
        Address::Inet(address) => HttpPeer::new(*address, false, String::new()),
        Address::Unix(path) => {
            let path = path.to_string_lossy().into_owned();
            HttpPeer::new_uds(&path, false, String::new()).map_err(|_| PeerError { server: server.id.to_string(), path })?
        }
    };
    set_timeouts(&mut peer.options, timeouts, read);
    Ok(peer)
}

fn set_timeouts(options: &mut PeerOptions, timeouts: Timeouts, read: Duration) {
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(read);
    options.write_timeout = Some(timeouts.write);
    options.idle_timeout = Some(timeouts.keepalive);
}

#[cfg(test)]
mod tests {
    use burdock::ids::ServerId;
    use burdock::upstream::spec::{Admin, Tier, Weight};

    use super::*;

    fn server(address: Address) -> ServerSpec {
        let (id, admin) = (ServerId::parse("a").unwrap(), Admin::Ready);
        ServerSpec { id, route: None, address, host: None, weight: Weight::ONE, tier: Tier::Primary, max_conns: None, admin }
    }

    #[test]
    fn every_timeout_is_set() {
        let server = server(Address::Inet(([127, 0, 0, 1], 80).into()));
        let options = make(&server, Timeouts::default(), Duration::from_secs(7)).unwrap().options;
        assert_eq!(options.connection_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.total_connection_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.read_timeout, Some(Duration::from_secs(7)));
        assert_eq!(options.write_timeout, Some(Duration::from_secs(60)));
        assert_eq!(options.idle_timeout, Some(Duration::from_secs(4)));
    }

    #[test]
    fn too_long_socket_path_is_an_error() {
        let path = format!("/{}", "a".repeat(200));
        assert!(make(&server(Address::Unix(path.into())), Timeouts::default(), Duration::from_secs(1)).is_err());
    }
}
