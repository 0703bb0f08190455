//! Warns that a proxy which is not trusted relays requests. To Burdock, all of its clients are one then.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use burdock::config::values::Listener;

use crate::client::client_stream::About;

/// For each listener, whether it has warned.
#[derive(Debug)]
pub struct UntrustedProxies(Box<[AtomicBool]>);

impl UntrustedProxies {
    pub fn new(listeners: &[Listener]) -> Self {
        Self(listeners.iter().map(|_| AtomicBool::new(false)).collect())
    }

    /// A request came through a proxy, or says so. Warns if its peer is not trusted, once for each listener, because any client
    /// can cause it.
    pub fn relayed(&self, about: &About, listener: &Listener) {
        let warned = &self.0[about.listener];
        if warned.load(Relaxed) || listener.trusted_proxies.trusts(about.peer.address()) || warned.swap(true, Relaxed) {
            return;
        }
        log::warn!(
            "listener {}: {} sends X-Forwarded-For, Forwarded or Via, but is not in trusted_proxies. If it is a proxy, add it: until \
             then all of its clients have its address",
            listener.address,
            about.peer.address(),
        );
    }
}
