//! Finds out when the listeners accept: Pingora binds them in the background without a notification, so they are probed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;
use tokio::net::TcpStream;

use crate::control::state::ProcessState;

/// Becomes ready, and logs it, when every listener has accepted a connection and signals are handled.
pub struct BindProbe(pub Arc<ProcessState>);

#[async_trait]
impl BackgroundService for BindProbe {
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        for listener in &self.0.serving.listeners {
            let address = reachable(listener.address);
            while TcpStream::connect(address).await.is_err() {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                    _ = shutdown.wait_for(|ending| *ending) => return,
                }
            }
        }
        tokio::select! {
            // Pingora handles signals when it has started all services, which in a successor happens after it has the sockets.
            () = self.0.serving.readiness.watching() => {}
            _ = shutdown.wait_for(|ending| *ending) => return,
        }
        self.0.serving.readiness.set_listening();
        ready.notify_ready();
        log::info!("listening on {}", addresses(&self.0));
    }
}

fn addresses(state: &ProcessState) -> String {
    state.serving.listeners.iter().map(|listener| listener.address.to_string()).collect::<Vec<_>>().join(", ")
}

/// The address at which the process reaches itself: loopback for a listener on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}
