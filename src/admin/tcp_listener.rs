//! The listener at the admin address: a Pingora listening service, so that an upgrade hands its socket over.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use super::serve::Admin;
use crate::admin::auth::Via;
use crate::client::connections::LINGER;
use crate::control::state::ProcessState;

pub struct AdminApp {
    pub admin: Admin,
    pub state: Arc<ProcessState>,
}

#[async_trait]
impl ServerApp for AdminApp {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _counted = self.state.admin_connections.enter();
        let mut shutdown = shutdown.clone();
        let via = via(&stream);
        let leaving = async move {
            drop(shutdown.wait_for(|ending| *ending).await);
            tokio::time::sleep(LINGER).await;
        };
        self.admin.serve(stream, via, leaving).await;
        None
    }

    async fn cleanup(&self) {
        self.state.admin_connections.close();
    }
}

fn via(stream: &Stream) -> Via {
    let digest = stream.get_socket_digest();
    let inet = |address: Option<&pingora::protocols::l4::socket::SocketAddr>| -> Option<SocketAddr> {
        address.and_then(|address| address.as_inet().copied())
    };
    let peer = digest.as_ref().and_then(|digest| inet(digest.peer_addr()));
    Via::Tcp { peer, local: digest.as_ref().and_then(|digest| inet(digest.local_addr())) }
}
