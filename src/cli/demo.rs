//! `burdock demo`, and `burdock demo-shop`, which it starts.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::outcome::Outcome;
use crate::demo::{Addresses, Decisions, GOODS, Process, Shop, Stage};

/// How often the demo checks whether a process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Starts Burdock with three small shops that keep carts in memory, and suggests what to try
///
/// By default everything listens on the loopback address. All processes are children of this one and end with it. Ctrl-C ends the
/// demo.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock demo
  burdock demo --listen 127.0.0.1:8090 --port 9281 --admin 127.0.0.1:9280
                                        if the default ports are in use")]
pub struct DemoArgs {
    /// Where Burdock listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where Burdock serves its metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9180")]
    admin: SocketAddr,
    /// The first shop's port; the other shops use the next two
    #[arg(long, value_name = "PORT", default_value_t = 9181, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
}

/// One shop of the demo
#[derive(Debug, Args)]
pub struct DemoShopArgs {
    /// Where the shop listens
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The shop's name
    #[arg(long, value_name = "NAME")]
    id: String,
    /// Burdock's JSON access log, shown on the page
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// The address of Burdock's metrics, shown on the page
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
}

pub fn demo(args: &DemoArgs) -> Outcome {
    ended(run_on_one_thread(run_demo(args)))
}

pub fn demo_shop(args: &DemoShopArgs) -> Outcome {
    ended(run_on_one_thread(run_shop(args)))
}

fn run_on_one_thread(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(work)
}

fn ended(outcome: Result<(), String>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Success,
        Err(error) => {
            eprintln!("burdock demo: {error}");
            Outcome::Failure
        }
    }
}

async fn run_shop(args: &DemoShopArgs) -> Result<(), String> {
    let cannot_listen = |error| format!("{} cannot listen on {}: {error}", args.id, args.listen);
    let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(cannot_listen)?;
    let decisions = Decisions { log: args.access_log.clone(), metrics: args.metrics.clone() };
    let outcome = crate::demo::serve(listener, Shop::new(args.id.clone()), decisions).await;
    let Err(error) = outcome;
    Err(format!("{} ended: {error}", args.id))
}

async fn run_demo(args: &DemoArgs) -> Result<(), String> {
    let mut signals = ExitSignals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let addresses = args.addresses();
    let stage = tokio::select! {
        stage = Stage::set(&addresses) => stage.map_err(|error| error.to_string())?,
        () = signals.recv() => return Ok(()),
    };
    print(&what_to_try(&addresses, &stage));
    let outcome = watch(stage, signals).await;
    print("\nThe demo and all its processes have ended.\n");
    outcome
}

/// Runs until a signal comes or Burdock ends. A shop may end: that is part of the demo.
async fn watch(mut stage: Stage, mut signals: ExitSignals) -> Result<(), String> {
    loop {
        tokio::select! {
            () = signals.recv() => return Ok(()),
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        if stage.burdock.has_ended() {
            return Err(format!("Burdock has ended. Its output:\n{}", stage.files.output()));
        }
        for gone in stage.take_ended_shops() {
            print(&restart_hint(&gone));
        }
    }
}

impl DemoArgs {
    /// The shops must not be reachable from outside: they share Burdock's address only if that is a loopback address.
    fn addresses(&self) -> Addresses {
        let own = self.listen.ip();
        let ip = if own.is_loopback() { own } else { Ipv4Addr::LOCALHOST.into() };
        let shops = [0, 1, 2].map(|offset| SocketAddr::new(ip, self.port.saturating_add(offset)));
        Addresses { page: self.listen, admin: self.admin, shops }
    }
}

/// The signals that end the demo: SIGINT, SIGTERM and SIGHUP.
struct ExitSignals {
    signals: [Signal; 3],
}

impl ExitSignals {
    fn new() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn recv(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn what_to_try(addresses: &Addresses, stage: &Stage) -> String {
    let (page, admin) = (addresses.page, addresses.admin);
    let files = &stage.files;
    let (program, config) = (files.program.display().to_string(), files.config().display().to_string());
    let (log, messages) = (files.access_log().display().to_string(), files.messages().display().to_string());
    let jar = files.cookie_jar().display().to_string();
    let shops = stage.shops.iter().fold(String::new(), |mut text, shop| {
        let _ = write!(text, " · {} {}", shop.name, shop.pid());
        text
    });
    let burdock = stage.burdock.pid();
    let item = GOODS[0];
    format!(
        "
Burdock runs in front of three shops. Each keeps its carts in its own memory.

  page        http://{page}/
  metrics     http://{admin}/metrics
  access log  {log}
  messages    {messages}
  processes   burdock {burdock}{shops}

Open the page, log in, fill a cart, and kill the shop that serves you. Or use another terminal:

1. Without a cookie, every connection is a new client, and the shops take turns:
     for i in 1 2 3; do curl -s http://{page}/api/whoami; done

2. With its cookie, a client stays on the shop that has its cart:
     curl -s -c {jar} -b {jar} -d name=ann http://{page}/api/login
     curl -s -c {jar} -b {jar} -d item={item} http://{page}/api/cart
     curl -s -c {jar} -b {jar} http://{page}/api/cart

3. Kill the shop that serves this client. Another shop takes over permanently; the cart was in the dead shop's memory:
     kill $(curl -s -b {jar} http://{page}/api/pid)
     curl -s -c {jar} -b {jar} http://{page}/api/cart
     curl -s -c {jar} -b {jar} http://{page}/api/cart

4. See why: the access log, the metrics, and `explain` for a request that is not sent:
     tail -n 4 {log}
     curl -s http://{admin}/metrics | grep burdock_decisions_total
     {program} explain -c {config} http://{page}/

Ctrl-C ends the demo.
"
    )
}

fn restart_hint(gone: &Process) -> String {
    let Process { name, command, .. } = gone;
    format!(
        "\n{name} has ended, and its carts are lost. To start it again, run in another terminal (Ctrl-C ends it):\n     {command}\n"
    )
}

/// Writes to stdout. Ignores errors: the pipe may be closed.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
