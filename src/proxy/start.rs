//! From a configuration to a running process.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use burdock::balancer::{Balancer, Unworkable};
use burdock::config::{Config, settings};
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::ServiceHandle;
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use pingora_proxy::http_proxy;
use tokio::sync::mpsc;

use super::access_log::AccessLog;
use super::admin::{Access, Admin, Socket, SocketError, SocketService, TcpDoor, TokenError};
use super::clock::Clock;
use super::control::{Control, Desired, Reloading, Store, Tending};
use super::discovery::DiscoveryService;
use super::folders::{self, Unbindable, Unfit};
use super::gateway::Gateway;
use super::handover::{self, Asked, Estate, Message, NoPredecessor, Predecessor, Prepared, Program, Taken};
use super::health::HealthService;
use super::keys::{self, KeyError};
use super::leaving::{self, Reopen, Signals};
use super::limits;
use super::listener::Edge;
use super::listening::Listening;
use super::metrics::{Metrics, Reloaded};
use super::peer::PeerError;
use super::service_manager::{Pulse, Telling};
use super::sessions::Sessions;
use super::snapshot::Snapshot;
use super::state::{Connections, Readiness, State};

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Folder(#[from] Unfit),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Listen(Vec<Unbindable>),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Plan(#[from] Unworkable),
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("access log: {0}")]
    AccessLog(std::io::Error),
    #[error("cannot write {}: {error}", .path.display())]
    Pid { path: std::path::PathBuf, error: std::io::Error },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Predecessor(#[from] NoPredecessor),
    #[error("cannot find the program that this process runs: {0}")]
    Program(std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Runs until a signal ends the process. Takes over from the process that has started this one to hand over to it.
///
/// # Errors
/// Whatever keeps it from starting.
pub fn run(config: Config, file: &Path) -> Result<(), StartError> {
    init_log();
    let predecessor = Predecessor::find()?.map(Arc::new);
    run_after(config, file, predecessor.as_ref()).inspect_err(|error| {
        predecessor.iter().for_each(|predecessor| predecessor.say(&Message::Refused(error.to_string())));
    })
}

fn run_after(config: Config, file: &Path, predecessor: Option<&Arc<Predecessor>>) -> Result<(), StartError> {
    let program = Program::present().map_err(StartError::Program)?;
    prepare(&config, predecessor)?;
    let threads =
        config.process.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, std::num::NonZeroUsize::get);
    limits::raise(&config, threads);
    let process = config.process.clone();
    let admin = config.admin.clone();
    let mut server = server(&config, threads, predecessor);
    let (successors, asked) = mpsc::channel(1);
    let control = Arc::new(control(config, file, predecessor, successors)?);
    let state = Arc::clone(&control.state);
    let checked = server.add_service(background_service("health", HealthService(Arc::clone(&state))));
    let sockets = match predecessor {
        None => {
            server.bootstrap();
            folders::write_pid(&process.runtime_dir)
                .map_err(|error| StartError::Pid { path: process.runtime_dir.clone(), error })?;
            None
        }
        Some(predecessor) => {
            predecessor.follow(&state).map_err(StartError::Thread)?;
            Some(add_taking(&mut server, predecessor, &control, &checked, &process.runtime_dir))
        }
    };
    add_services(&mut server, &control, process.connection_buffer, &checked, sockets.as_ref());
    add_admin(&mut server, &control, &admin, sockets.as_ref())?;
    leaving::leave_early(Arc::clone(&state), server.watch_execution_phase()).map_err(StartError::Thread)?;
    let signals = Signals {
        control,
        lame_duck: process.shutdown.lame_duck,
        program,
        runtime_dir: process.runtime_dir,
        asked: asked.into(),
    };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    state.close();
    Ok(())
}

/// Errors and warnings to stderr. Pingora's proxy would log every client that goes away; the access log has those.
fn init_log() {
    let filter = env_logger::Env::default().default_filter_or("info,pingora_core=warn,pingora_proxy=off");
    let _ = env_logger::Builder::from_env(filter).format_target(false).try_init();
    end_on_listener_panic();
}

/// Pingora gives up on a port that stays taken by panicking in one of its threads, and would go on without listening.
fn end_on_listener_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        if info.payload_as_str().is_some_and(|text| text.contains("Failed to build listeners")) {
            log::error!("cannot listen; ending");
            std::process::exit(1);
        }
    }));
}

fn prepare(config: &Config, predecessor: Option<&Arc<Predecessor>>) -> Result<(), StartError> {
    folders::private(&config.process.runtime_dir, "runtime_dir")?;
    folders::private(&config.process.state_dir, "state_dir")?;
    let taken = if predecessor.is_some() { Vec::new() } else { folders::unbindable(config) };
    if taken.is_empty() { Ok(()) } else { Err(StartError::Listen(taken)) }
}

/// What is configured, with what operators have changed before the process began.
fn control(
    config: Config,
    file: &Path,
    predecessor: Option<&Arc<Predecessor>>,
    successors: mpsc::Sender<Asked>,
) -> Result<Control, StartError> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let state_dir = &config.process.state_dir;
    let store = if predecessor.is_some() { Store::of_another(state_dir) } else { Store::new(state_dir) };
    let estate = predecessor.and_then(|predecessor| predecessor.estate.clone());
    let Estate { uptime, changes, leaving, discovered, servers } = estate.unwrap_or_else(|| stored(&store));
    let secrets = keys::secrets(&config)?;
    let desired = Desired { config, secrets, changes, leaving, discovered };
    for (upstream, id, _) in desired.changes.iter() {
        log::info!("changed at run time, not as configured: {}/{}", upstream.as_str(), id.as_str());
    }
    let state = Arc::new(state(&desired, Clock::after(uptime), predecessor, successors)?);
    state.snapshot.load().balancer.inherit(&servers);
    Ok(Control::new(state, desired, file, store))
}

/// What has outlived the last process.
fn stored(store: &Store) -> Estate {
    let (changes, leaving) = store.read().unwrap_or_else(|error| {
        log::error!("what was changed at run time is lost: {error}; it is put aside as {}", store.set_aside().display());
        Default::default()
    });
    Estate { changes, leaving, ..Estate::default() }
}

fn state(
    desired: &Desired,
    clock: Clock,
    predecessor: Option<&Arc<Predecessor>>,
    successors: mpsc::Sender<Asked>,
) -> Result<State, StartError> {
    let Desired { config, secrets, .. } = desired;
    let metrics = Metrics::new()?;
    let access_log = AccessLog::start(&config.access_log, metrics.log_dropped()).map_err(StartError::AccessLog)?;
    let now = clock.moment().now();
    let balancer = Balancer::new(desired.plan(), secrets, None, now)?;
    metrics.reloaded(Reloaded::Applied, now.wall);
    let tables = balancer.tables().all().cloned().collect();
    let (state_dir, key) = (&config.process.state_dir, secrets.fingerprints.id());
    let sessions = match predecessor {
        None => Sessions::open(state_dir, tables, key, clock),
        Some(predecessor) => {
            let mut from = predecessor.reader().map_err(NoPredecessor::from)?;
            let sessions = Sessions::inherit(state_dir, tables, key, clock, &mut from).map_err(NoPredecessor::from)?;
            handover::fail_at("tables");
            sessions
        }
    };
    sessions.run().map_err(StartError::Thread)?;
    let snapshot = ArcSwap::from_pointee(Snapshot::new(balancer, &metrics, None)?);
    let (connections, readiness) = (Connections::default(), Readiness::default());
    let (published, cuts) = (tokio::sync::watch::Sender::new(0), Arc::default());
    let (access, admin_socket) = (Access::open(&config.admin)?, OnceLock::new());
    let listeners = config.listeners.clone();
    let first_answers = tokio::sync::watch::Sender::default();
    Ok(State {
        clock,
        listeners,
        snapshot,
        published,
        first_answers,
        metrics,
        cuts,
        access_log,
        connections,
        readiness,
        pulse: Pulse::default(),
        sessions,
        access,
        admin_socket,
        successors,
    })
}

fn server(config: &Config, threads: usize, predecessor: Option<&Arc<Predecessor>>) -> Server {
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

/// What a successor does before it has the sockets, and right after. Gives what is ready when they are there.
fn add_taking(
    server: &mut Server,
    predecessor: &Arc<Predecessor>,
    control: &Arc<Control>,
    checked: &ServiceHandle,
    runtime_dir: &Path,
) -> ServiceHandle {
    let prepared = server.add_service(background_service("prepared", Prepared(Arc::clone(predecessor))));
    prepared.add_dependency(checked);
    let sockets = server.bootstrap_as_a_service();
    sockets.add_dependency(&prepared);
    let (predecessor, control, runtime_dir) = (Arc::clone(predecessor), Arc::clone(control), runtime_dir.to_owned());
    let taken = server.add_service(background_service("taken", Taken { predecessor, control, runtime_dir }));
    taken.add_dependency(&sockets);
    sockets
}

/// Who listens, or changes what other processes see, waits for `sockets`, which a successor does not have at first.
fn add_services(
    server: &mut Server,
    control: &Arc<Control>,
    buffer: usize,
    checked: &ServiceHandle,
    sockets: Option<&ServiceHandle>,
) {
    let state = &control.state;
    let proxy = http_proxy(&server.configuration, Gateway::new(Arc::clone(state)));
    let mut edge = Service::new("edge".to_owned(), Edge::new(proxy, Arc::clone(state)));
    for listener in &state.listeners {
        edge.add_listener(ListenerConfig::tcp(listener.text.clone()).l4_buffer(L4BufferSettings::new(buffer, 1460)));
    }
    let edge = server.add_service(edge);
    edge.add_dependency(checked);
    server.add_service(background_service("discovery", DiscoveryService(Arc::clone(control))));
    server.add_service(background_service("telling", Telling(Arc::clone(state))));
    server.add_service(background_service("log-reopen", Reopen(Arc::clone(state))));
    let listening = server.add_service(background_service("listening", Listening(Arc::clone(state))));
    listening.add_dependency(&edge);
    let reloading = server.add_service(background_service("reloading", Reloading(Arc::clone(control))));
    let tending = server.add_service(background_service("tending", Tending(Arc::clone(control))));
    if let Some(sockets) = sockets {
        [&edge, &reloading, &tending].into_iter().for_each(|service| service.add_dependency(sockets));
    }
}

/// The socket is made last, when nothing else can keep the process from starting, and put in its place later.
fn add_admin(
    server: &mut Server,
    control: &Arc<Control>,
    admin: &settings::Admin,
    sockets: Option<&ServiceHandle>,
) -> Result<(), StartError> {
    if let Some(address) = admin.address {
        let mut service = Service::new("admin".to_owned(), TcpDoor(Admin::new(control)));
        service.threads = Some(1);
        service.add_tcp(&address.to_string());
        let service = server.add_service(service);
        sockets.into_iter().for_each(|sockets| service.add_dependency(sockets));
    }
    if let Some(path) = &admin.socket {
        let socket = Arc::new(Socket::open(path)?);
        let _ = control.state.admin_socket.set(Arc::clone(&socket));
        let service = SocketService { admin: Admin::new(control), socket };
        let service = server.add_service(background_service("admin-socket", service));
        sockets.into_iter().for_each(|sockets| service.add_dependency(sockets));
    }
    Ok(())
}
