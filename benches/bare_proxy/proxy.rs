//! The smallest useful Pingora proxy: the floor that `scripts/bench` measures Burdock against.
//!
//! It shares Burdock's profile, allocator, threads, work stealing and buffers, and has no compression module.
//! It has no log line, no metrics, no timeouts and no forwarded headers.
//! Use: `bare_proxy LISTEN SERVER…`; with anything else it does nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    servers: Vec<SocketAddr>,
    turn: AtomicUsize,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();
    fn new_ctx(&self) {}
    fn init_downstream_modules(&self, _: &mut HttpModules) {}
    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len();
        Ok(Box::new(HttpPeer::new(self.servers[turn], false, String::new())))
    }
}

fn main() {
    let addresses: Option<Vec<SocketAddr>> = std::env::args().skip(1).map(|a| a.parse().ok()).collect();
    let Some([listen, servers @ ..]) = addresses.as_deref() else {
        return;
    };
    let conf = ServerConf { threads: 1, work_stealing: true, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let bare = Bare { servers: servers.to_vec(), turn: AtomicUsize::new(0) };
    let mut service = http_proxy_service(&server.configuration, bare);
    let listener = ListenerConfig::tcp(listen.to_string()).l4_buffer(L4BufferSettings::new(4096, 1460));
    service.add_listener(listener);
    server.add_service(service);
    server.run_forever();
}
