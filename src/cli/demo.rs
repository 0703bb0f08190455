//! `burdock demo`, and the shops it starts.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ended::Ended;
use crate::demo::{Addresses, Decisions, GOODS, Process, Shop, Stage};

/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Starts Burdock before three small shops that keep carts in memory, and says what to try
///
/// Everything listens on the loopback address unless told otherwise, runs as a child of this process and ends with it. Ctrl-C ends
/// the demo.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock demo
  burdock demo --listen 127.0.0.1:8090 --port 9281 --admin 127.0.0.1:9280
                                        where others have the usual ports")]
pub struct DemoArgs {
    /// Where Burdock listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where Burdock gives its metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9180")]
    admin: SocketAddr,
    /// The first shop's port; the others have the next two
    #[arg(long, value_name = "PORT", default_value_t = 9181, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
}

/// One shop of the demo
#[derive(Debug, Args)]
pub struct DemoShopArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// What it calls itself
    #[arg(long, value_name = "NAME")]
    id: String,
    /// Burdock's access log in JSON, for the page to show
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// The address of Burdock's metrics, for the page to name
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
}

pub fn demo(args: &DemoArgs) -> Ended {
    ended(run_on_one_thread(run_demo(args)))
}

pub fn demo_shop(args: &DemoShopArgs) -> Ended {
    ended(run_on_one_thread(run_shop(args)))
}

fn run_on_one_thread(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(work)
}

fn ended(outcome: Result<(), String>) -> Ended {
    match outcome {
        Ok(()) => Ended::Well,
        Err(error) => {
            eprintln!("burdock demo: {error}");
            Ended::Failed
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
    let mut leave = Leave::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let addresses = args.addresses();
    let stage = tokio::select! {
        stage = Stage::set(&addresses) => stage.map_err(|error| error.to_string())?,
        () = leave.asked() => return Ok(()),
    };
    say(&what_to_try(&addresses, &stage));
    let outcome = watch(stage, leave).await;
    say("\nThe demo has ended, and everything it started.\n");
    outcome
}

/// Until somebody asks to leave, or Burdock ends. That a shop ends is part of the show.
async fn watch(mut stage: Stage, mut leave: Leave) -> Result<(), String> {
    loop {
        tokio::select! {
            () = leave.asked() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if stage.burdock.has_ended() {
            return Err(format!("Burdock has ended. It said:\n{}", stage.files.said()));
        }
        for gone in stage.take_ended_shops() {
            say(&farewell(&gone));
        }
    }
}

impl DemoArgs {
    /// The shops are never reachable from outside: they are on Burdock's own address only if that is a loopback one.
    fn addresses(&self) -> Addresses {
        let own = self.listen.ip();
        let ip = if own.is_loopback() { own } else { Ipv4Addr::LOCALHOST.into() };
        let shops = [0, 1, 2].map(|offset| SocketAddr::new(ip, self.port.saturating_add(offset)));
        Addresses { page: self.listen, admin: self.admin, shops }
    }
}

/// The signals that end the demo: from the terminal, from another program, and when the terminal goes.
struct Leave {
    signals: [Signal; 3],
}

impl Leave {
    fn new() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn asked(&mut self) {
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
Burdock runs before three shops that keep each cart in one process's memory.

  page        http://{page}/
  metrics     http://{admin}/metrics
  access log  {log}
  messages    {messages}
  processes   burdock {burdock}{shops}

Open the page, log in, fill a cart, kill the shop that serves you. Or in another terminal:

1. Without a cookie every connection is a new client, and the shops take turns:
     for i in 1 2 3; do curl -s http://{page}/api/whoami; done

2. With its cookie a client stays where its cart is:
     curl -s -c {jar} -b {jar} -d name=ann http://{page}/api/login
     curl -s -c {jar} -b {jar} -d item={item} http://{page}/api/cart
     curl -s -c {jar} -b {jar} http://{page}/api/cart

3. Kill the shop that serves this client. Another takes over, once and for all; the cart was in the dead shop's memory:
     kill $(curl -s -b {jar} http://{page}/api/pid)
     curl -s -c {jar} -b {jar} http://{page}/api/cart
     curl -s -c {jar} -b {jar} http://{page}/api/cart

4. Why, request by request; counted; and asked beforehand, for a request that is not sent:
     tail -n 4 {log}
     curl -s http://{admin}/metrics | grep burdock_decisions_total
     {program} explain -c {config} http://{page}/

Ctrl-C ends all of it.
"
    )
}

fn farewell(gone: &Process) -> String {
    let Process { name, command, .. } = gone;
    format!(
        "\n{name} has ended, and its carts with it. To start it again, in another terminal (Ctrl-C ends it):\n     {command}\n"
    )
}

/// To stdout, which may be a pipe that nobody reads any more.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
