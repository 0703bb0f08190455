//! Accepts client connections: counts each, finds its listener and its peer, and sets its deadlines. All listeners share one proxy,
//! and so one connection pool.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use burdock::balancer::connection::Connection;
use burdock::http::forwarded::Peer;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;

use super::connection::Connection as Requests;
use crate::client::client_stream::{About, ClientStream};
use crate::client::connections::LINGER;
use crate::http1::engine::Engine;
use crate::proxy::gateway::Gateway;
use crate::runtime::systemd::Watchdog;
use crate::serve::state::ServingState;

/// The application behind every listening socket.
pub struct Edge {
    proxy: Arc<HttpProxy<Gateway>>,
    /// Our own engine, if it is on.
    engine: Option<Engine>,
    state: Arc<ServingState>,
    watchdog: Arc<Watchdog>,
    /// Becomes true when idle connections are to end.
    idle_end: watch::Sender<bool>,
}

impl Edge {
    pub fn new(
        proxy: HttpProxy<Gateway>,
        engine: Option<Engine>,
        state: Arc<ServingState>,
        watchdog: Arc<Watchdog>,
    ) -> Self {
        Self { proxy: Arc::new(proxy), engine, state, watchdog, idle_end: watch::Sender::new(false) }
    }

    fn about(&self, stream: &Stream) -> About {
        let digest = stream.get_socket_digest();
        let inet = |address: Option<&pingora::protocols::l4::socket::SocketAddr>| address.and_then(|a| a.as_inet().copied());
        let peer = digest.as_ref().and_then(|digest| inet(digest.peer_addr()));
        let local = digest.as_ref().and_then(|digest| inet(digest.local_addr()));
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        About { peer: Peer::new(peer), listener: self.listener(local), shared: Connection::default() }
    }

    /// The listener of a local address: the one with this address, or the one for all addresses of its port.
    fn listener(&self, local: Option<SocketAddr>) -> usize {
        let listeners = &self.state.listeners;
        let Some(local) = local else { return 0 };
        let same_port = |at: &usize| listeners[*at].address.port() == local.port();
        let exact = (0..listeners.len()).find(|&at| listeners[at].address == local);
        exact
            .or_else(|| (0..listeners.len()).filter(same_port).find(|&at| listeners[at].address.ip().is_unspecified()))
            .unwrap_or(0)
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        self.watchdog.is_here();
        let _counted = self.state.connections.enter();
        let about = self.about(&stream);
        let listener = &self.state.listeners[about.listener];
        let client = ClientStream::new(stream, self.state.clock, listener, about, self.state.askers.enter());
        let mut requests = Requests {
            proxy: &self.proxy,
            engine: self.engine.as_ref(),
            state: &self.state,
            idle_end: self.idle_end.subscribe(),
        };
        requests.serve(Box::new(client), shutdown).await;
        None
    }

    /// Accepting has stopped. Connected clients get [`LINGER`] to send a request; then idle connections are closed.
    async fn cleanup(&self) {
        self.state.connections.close();
        self.state.askers.close();
        let state = Arc::clone(&self.state);
        let _ = tokio::task::spawn_blocking(move || state.connections.wait_for_the_last(LINGER)).await;
        self.idle_end.send_replace(true);
        self.proxy.http_cleanup().await;
    }
}
