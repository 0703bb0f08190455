//! Makes the peer that Pingora connects to from a server. It sets all timeouts: Pingora's default is to wait forever.

use std::time::Duration;

use burdock::upstream::spec::{Address, ServerSpec, UpstreamSpec};
use pingora::upstreams::peer::{HttpPeer, PeerOptions};

use super::tcp_keepalive;

/// An invalid socket path.
#[derive(Debug, thiserror::Error)]
#[error("server {server}: {path} is not a valid socket path (at most 107 bytes)")]
pub struct PeerError {
    server: String,
    path: String,
}

/// Makes the peer of a server of this upstream; `read` is the timeout of each read.
pub fn make(server: &ServerSpec, upstream: &UpstreamSpec, read: Duration) -> Result<HttpPeer, PeerError> {
    let mut peer = match &server.address {
        // A SocketAddr needs no DNS lookup, so this neither blocks nor fails.
        Address::Inet(address) => HttpPeer::new(*address, false, String::new()),
        Address::Unix(path) => {
            let path = path.to_string_lossy().into_owned();
            HttpPeer::new_uds(&path, false, String::new()).map_err(|_| PeerError { server: server.id.to_string(), path })?
        }
    };
    set_timeouts(&mut peer.options, upstream, read);
    peer.options.tcp_keepalive = upstream.tcp_keepalive.map(tcp_keepalive::to_pingora);
    Ok(peer)
}

fn set_timeouts(options: &mut PeerOptions, upstream: &UpstreamSpec, read: Duration) {
    let timeouts = upstream.timeouts;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(read);
    options.write_timeout = Some(timeouts.write);
    options.idle_timeout = Some(timeouts.keepalive);
}

#[cfg(test)]
mod tests {
    use burdock::config::Config;

    use super::*;

    /// An upstream with this server and these settings.
    fn upstream(server: &str, settings: &str) -> UpstreamSpec {
        let text = format!("listeners: ['127.0.0.1:1']\nupstreams: {{shop: {{servers: ['{server}']{settings}}}}}\n");
        Config::parse("test.yaml", &text).unwrap().plan.upstreams.remove(0).upstream
    }

    fn options(settings: &str) -> PeerOptions {
        let upstream = upstream("127.0.0.1:80", settings);
        make(&upstream.servers[0], &upstream, Duration::from_secs(7)).unwrap().options
    }

    #[test]
    fn every_timeout_is_set() {
        let options = options("");
        assert_eq!(options.connection_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.total_connection_timeout, Some(Duration::from_secs(2)));
        assert_eq!(options.read_timeout, Some(Duration::from_secs(7)));
        assert_eq!(options.write_timeout, Some(Duration::from_secs(60)));
        assert_eq!(options.idle_timeout, Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_server_that_vanished_is_noticed_by_default() {
        let keepalive = options("").tcp_keepalive.unwrap();
        let times = (keepalive.idle.as_secs(), keepalive.interval.as_secs(), keepalive.count);
        assert_eq!((times, keepalive.user_timeout), ((60, 15, 4), Duration::ZERO));
        assert!(options(", tcp_keepalive: none").tcp_keepalive.is_none());
    }

    #[test]
    fn too_long_socket_path_is_an_error() {
        let upstream = upstream("unix:/short", "");
        let path = format!("/{}", "a".repeat(200));
        let server = ServerSpec { address: Address::Unix(path.into()), ..(*upstream.servers[0]).clone() };
        assert!(make(&server, &upstream, Duration::from_secs(1)).is_err());
    }
}
