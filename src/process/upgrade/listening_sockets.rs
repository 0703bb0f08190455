//! Keeps the listening sockets of the process at hand, to send them to the next one. Pingora's own way stops accepting five seconds
//! later, whether or not a process has taken them.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;

use crate::process::upgrade::new_process::fails_at;

/// The listening sockets, once the listeners have been started.
#[derive(Clone, Default)]
pub struct ListeningSockets(Arc<OnceLock<ListenFds>>);

/// A service that listens, and leaves its sockets with [`ListeningSockets`].
pub struct KeepingSockets<S> {
    pub service: S,
    pub sockets: ListeningSockets,
}

impl ListeningSockets {
    /// Sends them to the process that listens at `path`. It blocks, for some seconds at most.
    ///
    /// # Errors
    /// If no process takes them.
    pub fn send(&self, path: &Path) -> io::Result<()> {
        let sockets = self.0.get().ok_or_else(|| io::Error::other("the listeners have not been started"))?;
        if fails_at("unsent") {
            return Err(io::Error::other("failing at step unsent, as requested"));
        }
        let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        sockets.lock().send_to_sock(path).map(|_| ()).map_err(io::Error::from)
    }
}

#[async_trait]
impl<S: Service> Service for KeepingSockets<S> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, listeners_per_fd: usize) {
        if let Some(fds) = &fds {
            let _ = self.sockets.0.set(Arc::clone(fds));
        }
        self.service.start_service(fds, shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}
