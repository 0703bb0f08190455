//! From a configuration to a running process.

mod announce;
mod error;
mod services;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use burdock::balancer::Balancer;
use burdock::config::Config;
use burdock::table::Table;
use parking_lot::Mutex;
use pingora::server::RunArgs;
use tokio::sync::{mpsc, watch};

use crate::client::close_on_down::CloseOnDown;
use crate::client::connections::Connections;
use crate::control::change::Control;
use crate::control::desired::Desired;
use crate::control::handoff::ProcessHandoff;
use crate::control::state::{FirstAnswers, ProcessState};
use crate::control::store::{PersistedState, Store};
use crate::control::upgrade_request::UpgradeRequest;
use crate::probing::probe;
use crate::process::shutdown;
use crate::process::shutdown::Signals;
use crate::process::upgrade::new_process;
use crate::process::upgrade::new_process::{NoPredecessor, Predecessor};
use crate::process::upgrade::protocol::Message;
use crate::process::upgrade::spawn::Program;
use crate::process::upgrade::table_feed::receive;
use crate::runtime::bearer::Bearer;
use crate::runtime::clock::Clock;
use crate::runtime::descriptor_limits;
use crate::runtime::directories;
use crate::runtime::keys;
use crate::runtime::leftovers;
use crate::runtime::own_listeners;
use crate::runtime::readiness::Readiness;
use crate::runtime::systemd::Watchdog;
use crate::runtime::warn_limit::WarnLimit;
use crate::serve::generation::Generation;
use crate::serve::state::ServingState;
use crate::serve::untrusted_proxies::UntrustedProxies;
use crate::storage::session_storage::SessionStorage;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::{Metrics, Reloaded};
use crate::telemetry::request_record::RecordSinks;

pub use error::StartError;

/// Runs until a signal ends the process. If the running process has started this one for an upgrade, takes over from it.
///
/// # Errors
/// The reason why the process cannot start.
pub fn run(config: Config, file: &Path) -> Result<(), StartError> {
    init_log();
    let predecessor = Predecessor::find()?.map(Arc::new);
    run_after(config, file, predecessor.as_ref()).inspect_err(|error| {
        predecessor.iter().for_each(|predecessor| predecessor.send(&Message::Refused(error.to_string())));
    })
}

fn run_after(config: Config, file: &Path, predecessor: Option<&Arc<Predecessor>>) -> Result<(), StartError> {
    announce::announce(&config, file);
    let program = Program::present().map_err(StartError::Program)?;
    prepare(&config, predecessor)?;
    let threads =
        config.process.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, std::num::NonZeroUsize::get);
    descriptor_limits::raise(&config, threads);
    let process = config.process.clone();
    let admin = config.admin.clone();
    let mut server = services::server(&config, threads, predecessor);
    let (successors, requests) = mpsc::channel(1);
    let control = Arc::new(control(config, file, predecessor, successors)?);
    let state = Arc::clone(&control.state);
    let sockets = services::add(&mut server, &control, &process, &admin, predecessor)?;
    shutdown::exit_early(Arc::clone(&state), server.watch_execution_phase()).map_err(StartError::Thread)?;
    match predecessor {
        None => directories::write_pid(&process.runtime_dir)
            .map_err(|error| StartError::Pid { path: process.runtime_dir.clone(), error })?,
        Some(predecessor) => predecessor.follow(&control).map_err(StartError::Thread)?,
    }
    let signals = Signals {
        control,
        lame_duck: process.shutdown.lame_duck,
        program,
        runtime_dir: process.runtime_dir,
        sockets,
        requests: requests.into(),
    };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    state.close();
    Ok(())
}

/// Pingora's proxy would log every client that disconnects, which the access log already does, and a successor would log an error
/// for every second that it waits for the sockets.
const FILTER: &str = "info,pingora_core=warn,pingora_core::server::transfer_fd=off,pingora_proxy=off";

/// Logs to stderr.
fn init_log() {
    let filter = env_logger::Env::default().default_filter_or(FILTER);
    let _ = env_logger::Builder::from_env(filter).format_target(false).try_init();
    end_on_listener_panic();
}

/// If a port stays in use, Pingora panics in one of its threads and would continue without listening.
fn end_on_listener_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        if info.payload_as_str().is_some_and(|text| text.contains("UpgradeError to build listeners")) {
            log::error!("cannot listen; exiting");
            std::process::exit(1);
        }
    }));
}

fn prepare(config: &Config, predecessor: Option<&Arc<Predecessor>>) -> Result<(), StartError> {
    let loops = own_listeners::among_servers(config);
    if !loops.is_empty() {
        return Err(StartError::OwnListener(loops));
    }
    directories::private(&config.process.runtime_dir, "runtime_dir")?;
    directories::private(&config.process.state_dir, "state_dir")?;
    leftovers::remove(&config.process.runtime_dir, config.admin.socket.as_deref());
    let taken = match predecessor.map(|predecessor| predecessor.addresses()) {
        None => directories::unbindable(config, &[]),
        // It has sent no addresses.
        Some([]) => Vec::new(),
        Some(handed) => directories::unbindable(config, handed),
    };
    if taken.is_empty() { Ok(()) } else { Err(StartError::Listen(taken)) }
}

/// The configuration, with the runtime overrides from before the process started.
fn control(
    config: Config,
    file: &Path,
    predecessor: Option<&Arc<Predecessor>>,
    successors: mpsc::Sender<UpgradeRequest>,
) -> Result<Control, StartError> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let state_dir = &config.process.state_dir;
    let store = Store::new(state_dir);
    let handoff = predecessor.and_then(|predecessor| predecessor.handoff.clone());
    let handoff = handoff.unwrap_or_else(|| stored(&store));
    let ProcessHandoff { uptime, clock_steps, changes, leaving, discovered, servers, .. } = handoff;
    let secrets = keys::secrets(&config)?;
    keys::warnings(&config).iter().for_each(|warning| log::warn!("{warning}"));
    let desired = Desired { config, secrets, changes, leaving, discovered };
    for (upstream, id, _) in desired.changes.iter() {
        log::info!("runtime override in effect: {}/{}", upstream.as_str(), id.as_str());
    }
    let state = Arc::new(state(&desired, Clock::after(uptime, clock_steps), predecessor, successors)?);
    state.serving.generation.load().balancer.inherit(&servers);
    match predecessor {
        Some(_) => Ok(Control::after_another(state, desired, file, store)),
        None => Control::new(state, desired, file, store).map_err(StartError::Thread),
    }
}

/// The runtime overrides that the last process has saved.
fn stored(store: &Store) -> ProcessHandoff {
    let PersistedState { changes, leaving } = store.read().unwrap_or_else(|error| {
        log::error!(
            "cannot read the saved runtime overrides: {error}; starting without them, moved the file to {}",
            store.set_aside().display()
        );
        Default::default()
    });
    ProcessHandoff { changes, leaving, ..ProcessHandoff::default() }
}

/// The initial state of the process.
pub(crate) fn state(
    desired: &Desired,
    clock: Clock,
    predecessor: Option<&Arc<Predecessor>>,
    successors: mpsc::Sender<UpgradeRequest>,
) -> Result<ProcessState, StartError> {
    let Desired { config, secrets, .. } = desired;
    let metrics = Arc::new(Metrics::new()?);
    let access_log = AccessLog::start(&config.access_log, metrics.log_dropped()).map_err(StartError::AccessLog)?;
    let now = clock.moment().now();
    let balancer = Balancer::new(desired.plan(), secrets, None, now)?;
    metrics.reloaded(Reloaded::Applied, now.wall);
    let storage = storage(desired, balancer.tables().all().cloned().collect(), clock, predecessor)?;
    storage.run().map_err(StartError::Thread)?;
    let serving = ServingState {
        clock,
        listeners: config.listeners.clone(),
        generation: ArcSwap::from_pointee(Generation::new(balancer, &metrics, None)?),
        record_sinks: Arc::new(RecordSinks::new(clock, access_log.clone(), &metrics)),
        metrics,
        access_log,
        connections: Connections::default(),
        askers: Connections::default(),
        readiness: predecessor.map_or_else(Readiness::default, |_| Readiness::of_successor()),
        close_on_down: Arc::<CloseOnDown>::default(),
        on_ejection: probe::ejected,
        untrusted_proxies: UntrustedProxies::new(&config.listeners),
        shortage_warnings: WarnLimit::default(),
        loop_warnings: WarnLimit::default(),
    };
    Ok(ProcessState {
        serving: Arc::new(serving),
        published: watch::Sender::new(0),
        first_answers: watch::Sender::new(FirstAnswers::default()),
        probing_runtime: OnceLock::new(),
        admin_connections: Connections::default(),
        handovers: Connections::default(),
        watchdog: Arc::<Watchdog>::default(),
        storage,
        followers: Mutex::default(),
        bearer: Bearer::open(&config.admin)?,
        admin_socket: OnceLock::new(),
        successors,
    })
}

/// The session tables, loaded from disk or received from the running process.
fn storage(
    desired: &Desired,
    tables: Vec<Arc<Table>>,
    clock: Clock,
    predecessor: Option<&Arc<Predecessor>>,
) -> Result<SessionStorage, StartError> {
    let (state_dir, key) = (&desired.config.process.state_dir, desired.secrets.fingerprints.id());
    let Some(predecessor) = predecessor else {
        return Ok(SessionStorage::open(state_dir, tables, HashSet::new(), key, clock));
    };
    let mut from = predecessor.reader().map_err(NoPredecessor::from)?;
    let filled = receive::receive(&mut from, &tables, key, &clock).map_err(NoPredecessor::from)?;
    let storage = SessionStorage::open(state_dir, tables, filled, key, clock);
    new_process::fail_at("tables");
    Ok(storage)
}
