//! The listener at the Unix socket, for Burdock's own user and root.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::net::UnixStream;

use super::serve::Admin;
use crate::admin::auth::Via;
use crate::runtime::admin_socket::AdminSocket;

/// Accepts its connections.
pub struct SocketService {
    pub admin: Admin,
    pub socket: Arc<AdminSocket>,
}

#[async_trait]
impl BackgroundService for SocketService {
    /// Continues during shutdown, so that operators can watch it; it ends with the process.
    async fn start(&self, _shutdown: ShutdownWatch) {
        if let Err(error) = self.socket.place() {
            log::error!("{error}");
        }
        let listener = self.socket.take_listener().map(tokio::net::UnixListener::from_std);
        let Some(Ok(listener)) = listener else {
            log::error!("admin socket unavailable");
            return;
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.spawn_connection(stream),
                Err(error) => {
                    log::warn!("admin socket: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl SocketService {
    fn spawn_connection(&self, stream: UnixStream) {
        let Ok(peer) = stream.peer_cred() else { return };
        let (admin, via) = (self.admin.clone(), Via::Socket { uid: peer.uid() });
        tokio::spawn(async move { admin.serve(stream, via, std::future::pending()).await });
    }
}
