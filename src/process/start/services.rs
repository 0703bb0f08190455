//! The services of the process, and their dependencies.

use std::path::Path;
use std::sync::Arc;

use burdock::config::Config;
use burdock::config::values::{self, Http1};
use pingora::listeners::{L4BufferSettings, ListenerConfig, TcpSocketOptions};
use pingora::server::Server;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::services::ServiceHandle;
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use pingora_proxy::http_proxy;

use super::error::StartError;
use crate::admin::serve::Admin;
use crate::admin::tcp_listener::AdminApp;
use crate::admin::unix_listener::SocketService;
use crate::control::change::Control;
use crate::control::maintenance::{MaintenanceService, ReloadService};
use crate::discovery::DiscoveryService;
use crate::edge::listener::Edge;
use crate::http1::engine::Engine;
use crate::probing::HealthService;
use crate::process::bind_probe::BindProbe;
use crate::process::shutdown::LogReopenService;
use crate::process::systemd::SystemdService;
use crate::process::upgrade::listening_sockets::{KeepingSockets, ListeningSockets};
use crate::process::upgrade::new_process::{Predecessor, PreparedService, TakeoverService};
use crate::proxy::gateway::Gateway;
use crate::runtime::admin_socket::AdminSocket;
use crate::servers::tcp_keepalive;

/// The framework's server, without services.
pub fn server(config: &Config, threads: usize, predecessor: Option<&Arc<Predecessor>>) -> Server {
    let process = &config.process;
    let conf = ServerConf {
        threads,
        work_stealing: process.work_stealing,
        grace_period_seconds: Some(process.shutdown.grace.as_millis().div_ceil(1000) as u64),
        graceful_shutdown_timeout_seconds: Some(1),
        upstream_keepalive_pool_size: process.upstream_pool,
        // Tokio's timers are cheaper to set and to drop than Pingora's shared ones, which stay until they are due.
        fast_timeout_to_tokio_threshold_seconds: Some(0),
        upgrade_sock: process.runtime_dir.join("upgrade.sock").to_string_lossy().into_owned(),
        ..ServerConf::default()
    };
    let options = Opt { upgrade: predecessor.is_some(), ..Opt::default() };
    Server::new_with_opt_and_conf(options, conf)
}

/// Adds all services, and returns where the listening sockets will be. A successor receives the listening sockets only when everything else is ready.
pub fn add(
    server: &mut Server,
    control: &Arc<Control>,
    process: &values::Process,
    admin: &values::Admin,
    predecessor: Option<&Arc<Predecessor>>,
) -> Result<ListeningSockets, StartError> {
    let health = server.add_service(background_service("health", HealthService(Arc::clone(&control.state))));
    let sockets = match predecessor {
        None => {
            server.bootstrap();
            None
        }
        Some(predecessor) => Some(add_takeover(server, predecessor, control, &health, &process.runtime_dir)),
    };
    let kept = ListeningSockets::default();
    let edge = edge(server, control, process, &kept);
    let listening = add_services(server, control, edge, &health, sockets.as_ref());
    // Until a successor accepts, its predecessor answers readiness probes.
    add_admin(server, control, admin, sockets.map(|_| &listening))?;
    Ok(kept)
}

/// The service that listens for clients.
fn edge(
    server: &Server,
    control: &Control,
    process: &values::Process,
    sockets: &ListeningSockets,
) -> KeepingSockets<Service<Edge>> {
    let state = &control.state;
    let proxy = http_proxy(&server.configuration, Gateway::new(Arc::clone(&state.serving)));
    let engine = match process.http1 {
        Http1::Pingora => None,
        Http1::Native => Some(Engine::new(process.upstream_pool, Arc::clone(&state.serving))),
    };
    let edge = Edge::new(proxy, engine, Arc::clone(&state.serving), Arc::clone(&state.watchdog));
    let mut service = Service::new("edge".to_owned(), edge);
    for listener in &state.serving.listeners {
        let mut options = TcpSocketOptions::default();
        options.tcp_keepalive = listener.tcp_keepalive.map(tcp_keepalive::to_pingora);
        // A successor finds the open socket under this text, so it does not matter how the address was written.
        let socket = ListenerConfig::tcp(listener.address.to_string()).tcp_socket_options(options);
        service.add_listener(socket.l4_buffer(L4BufferSettings::new(process.connection_buffer, 1460)));
    }
    KeepingSockets { service, sockets: sockets.clone() }
}

/// Adds the services of a successor that run before it has the sockets, and right after. Returns the service that is ready when
/// it has them.
fn add_takeover(
    server: &mut Server,
    predecessor: &Arc<Predecessor>,
    control: &Arc<Control>,
    health: &ServiceHandle,
    runtime_dir: &Path,
) -> ServiceHandle {
    let prepared = server.add_service(background_service("prepared", PreparedService(Arc::clone(predecessor))));
    prepared.add_dependency(health);
    let sockets = server.bootstrap_as_a_service();
    sockets.add_dependency(&prepared);
    let (predecessor, control, runtime_dir) = (Arc::clone(predecessor), Arc::clone(control), runtime_dir.to_owned());
    let takeover = server.add_service(background_service("takeover", TakeoverService { predecessor, control, runtime_dir }));
    takeover.add_dependency(&sockets);
    sockets
}

/// Services that listen, or that change what other processes see, wait for `sockets`, which a successor receives later. Returns
/// the service that is ready when the listeners accept.
fn add_services(
    server: &mut Server,
    control: &Arc<Control>,
    edge: KeepingSockets<Service<Edge>>,
    health: &ServiceHandle,
    sockets: Option<&ServiceHandle>,
) -> ServiceHandle {
    let state = &control.state;
    let edge = server.add_service(edge);
    edge.add_dependency(health);
    server.add_service(background_service("discovery", DiscoveryService(Arc::clone(control))));
    server.add_service(background_service("systemd", SystemdService(Arc::clone(state))));
    server.add_service(background_service("log-reopen", LogReopenService(Arc::clone(state))));
    let listening = server.add_service(background_service("listening", BindProbe(Arc::clone(state))));
    listening.add_dependency(&edge);
    let reload = server.add_service(background_service("reload", ReloadService(Arc::clone(control))));
    let maintenance = server.add_service(background_service("maintenance", MaintenanceService(Arc::clone(control))));
    if let Some(sockets) = sockets {
        [&edge, &reload, &maintenance].into_iter().for_each(|service| service.add_dependency(sockets));
    }
    listening
}

/// The socket is created last, when nothing else can keep the process from starting. In a successor, all of this waits for
/// `after`.
fn add_admin(
    server: &mut Server,
    control: &Arc<Control>,
    admin: &values::Admin,
    after: Option<&ServiceHandle>,
) -> Result<(), StartError> {
    if let Some(address) = admin.address {
        let mut service =
            Service::new("admin".to_owned(), AdminApp { admin: Admin::new(control), state: Arc::clone(&control.state) });
        service.threads = Some(1);
        service.add_tcp(&address.to_string());
        let service = server.add_service(service);
        after.into_iter().for_each(|after| service.add_dependency(after));
    } else {
        control.state.admin_connections.close();
    }
    if let Some(path) = &admin.socket {
        let socket = Arc::new(AdminSocket::open(path)?);
        if after.is_none() {
            socket.place()?;
        }
        let _ = control.state.admin_socket.set(Arc::clone(&socket));
        let service = SocketService { admin: Admin::new(control), socket };
        let service = server.add_service(background_service("admin-socket", service));
        after.into_iter().for_each(|after| service.add_dependency(after));
    }
    Ok(())
}
