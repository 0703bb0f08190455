//! A running Burdock: the real binary with a configuration file, killed by its process id.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::{Api, Client, LogLine, Metrics, Request, Response, Site, Wire, eventually, signal, wait_until};

/// Defaults for every test's configuration. A line is left out if the test's own text has its key.
const DEFAULTS: [&str; 4] = [
    "listeners: [$IP:8080]",
    "admin: {address: $IP:9180}",
    "process: {threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {lame_duck: 0s, grace: 10s}}",
    "access_log: {to: $DIR/access.log, format: json}",
];

pub struct Burdock {
    child: Child,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    socket: PathBuf,
    log: PathBuf,
    stdout: Output,
    stderr: Output,
}

impl Burdock {
    /// Starts with this configuration, completed with the defaults, and waits until it is ready. `$IP` and `$DIR` stand for the
    /// site's address and directory.
    pub fn start(site: &Site, yaml: &str) -> Self {
        Self::launch(site, yaml, &[]).wait_until_ready()
    }

    /// Like [`Self::start`], with a variable in its environment.
    pub fn start_with(site: &Site, yaml: &str, variable: (&str, &str)) -> Self {
        Self::launch_with(site, yaml, &[variable]).wait_until_ready()
    }

    /// Like [`Self::launch`], with variables in its environment.
    pub fn launch_with(site: &Site, yaml: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(site, yaml, |command| command.envs(variables.iter().copied()))
    }

    /// Like [`Self::start`], with further arguments and without waiting.
    pub fn launch(site: &Site, yaml: &str, args: &[&str]) -> Self {
        Self::spawn(site, yaml, |command| command.args(args))
    }

    /// Like [`Self::launch`], by a command that stands for the program, with its user and environment.
    pub fn launch_by(mut program: Command, site: &Site, yaml: &str) -> Self {
        program.args(["run", "-c"]).arg(site.path("burdock.yaml"));
        Self::spawn_command(program, site, yaml)
    }

    fn wait_until_ready(mut self) -> Self {
        wait_until("burdock is ready", || {
            assert!(self.exit_status().is_none(), "burdock did not start");
            self.readiness_status() == Some(200)
        });
        self
    }

    fn spawn(site: &Site, yaml: &str, adjust: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_burdock"));
        command.args(["run", "-c"]).arg(site.path("burdock.yaml"));
        adjust(&mut command);
        Self::spawn_command(command, site, yaml)
    }

    fn spawn_command(mut command: Command, site: &Site, yaml: &str) -> Self {
        site.write("burdock.yaml", &with_defaults(yaml));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Output::collect(child.stdout.take().unwrap());
        let stderr = Output::collect(child.stderr.take().unwrap());
        let (socket, log) = (site.socket(), site.path("access.log"));
        Self { child, listen: site.listen(), admin: site.admin(), socket, log, stdout, stderr }
    }

    /// Reloads with another configuration, completed as for [`Self::start`]. Waits for the result and returns whether it was
    /// applied.
    pub fn reload(&self, site: &Site, yaml: &str) -> bool {
        let count = |result| self.metrics().sum("burdock_reloads_total", &[("result", result)]);
        let (applied, refused) = (count("applied"), count("refused"));
        site.write("burdock.yaml", &with_defaults(yaml));
        self.signal("HUP");
        eventually("the reload has ended", || match (count("applied") > applied, count("refused") > refused) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        })
    }

    /// A GET by a new client, on its own connection.
    pub fn get(&self, target: &str) -> Response {
        self.ask(&Request::get(target))
    }

    pub fn ask(&self, request: &Request) -> Response {
        self.wire().ask(request)
    }

    pub fn wire(&self) -> Wire {
        Wire::open(self.listen)
    }

    pub fn client(&self) -> Client {
        Client::new(self.listen)
    }

    /// A new client that is pinned to this server.
    pub fn client_at(&self, server: &str) -> Client {
        eventually(&format!("a client is pinned to {server}"), || {
            let mut client = self.client();
            (client.get("/").served_by() == server).then_some(client)
        })
    }

    /// The API at the Unix socket.
    pub fn api(&self) -> Api {
        Api::new(self.socket.clone())
    }

    pub fn readiness_status(&self) -> Option<u16> {
        let mut wire = Wire::try_open(self.admin).ok()?;
        wire.try_ask(&Request::get("/readyz")).ok().map(|response| response.status)
    }

    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.exposition())
    }

    /// The text of `/metrics`.
    /// Waits until every server is in use. One that refused connections comes back by a probe.
    pub fn wait_until_all_up(&self) {
        wait_until("every server is up", || {
            let metrics = self.metrics();
            let mut servers = metrics.samples().iter().filter(|sample| sample.name == "burdock_server_up");
            servers.all(|server| server.value == 1.0)
        });
    }

    pub fn exposition(&self) -> String {
        Wire::open(self.admin).ask(&Request::get("/metrics")).text()
    }

    /// The access log, once it has at least this many lines.
    pub fn access_log(&self, lines: usize) -> Vec<LogLine> {
        eventually(&format!("{lines} lines in the access log"), || {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let whole: Vec<LogLine> =
                text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(LogLine::parse).collect();
            (whole.len() >= lines).then_some(whole)
        })
    }

    /// The log line of the one request for this path.
    pub fn log_line(&self, path: &str) -> LogLine {
        eventually(&format!("a log line for {path}"), || {
            self.access_log(0).into_iter().find(|line| line.text("path") == path)
        })
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until its messages contain this text. They arrive through their own pipe.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("the log contains: {text}"), || self.stderr().contains(text));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it exits by itself and all its output has arrived.
    pub fn wait_for_exit_and_output(&mut self) -> ExitStatus {
        let status = eventually("burdock exits", || self.exit_status());
        wait_until("its remaining output", || self.stdout.is_complete() && self.stderr.is_complete());
        status
    }

    /// Waits until it exits by itself. A successor writes to the same pipes, so they may stay open.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        eventually("burdock exits", || self.exit_status())
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Burdock {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            println!("burdock's output:\n{}", self.stderr());
            println!("its access log:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// The output of a process as it arrives.
struct Output {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

/// The text, completed with the defaults of all tests.
pub fn with_defaults(yaml: &str) -> String {
    let missing = DEFAULTS.iter().filter(|line| {
        let key = line.split(':').next().unwrap_or_default();
        !yaml.lines().any(|own| own.split(':').next() == Some(key))
    });
    let common: String = missing.map(|line| format!("{line}\n")).collect();
    with_engine(common + yaml)
}

/// With the HTTP/1 engine that `BURDOCK_HTTP1` names, so that the whole suite can run with each.
fn with_engine(yaml: String) -> String {
    match std::env::var("BURDOCK_HTTP1") {
        Ok(engine) if !yaml.contains("http1:") => yaml.replace("process: {", &format!("process: {{http1: {engine}, ")),
        Ok(_) | Err(_) => yaml,
    }
}

impl Output {
    fn collect(from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let writer = Arc::clone(&text);
        let reader = thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let mut text = writer.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn is_complete(&self) -> bool {
        self.reader.is_finished()
    }
}

/// A process that a Burdock started as its successor in an upgrade. Killed when dropped.
pub struct Successor {
    pid: u32,
    api: Api,
    pub listen: SocketAddr,
}

impl Successor {
    /// Upgrades a process through the API.
    pub fn of(predecessor: &Burdock) -> Self {
        Self::upgrade(&predecessor.api(), predecessor.listen)
    }

    /// Upgrades this process in its turn.
    pub fn next(&self) -> Self {
        Self::upgrade(&self.api, self.listen)
    }

    fn upgrade(api: &Api, listen: SocketAddr) -> Self {
        let answer = api.send("POST", "/upgrade", &serde_json::json!({}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let pid = answer.json()["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process id");
        Self { pid, api: api.clone(), listen }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn api(&self) -> Api {
        self.api.clone()
    }

    pub fn is_running(&self) -> bool {
        is_running(self.pid)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if self.is_running() {
            signal(self.pid, "KILL");
            // It holds its addresses until it has ended.
            wait_until("the process has ended", || !self.is_running());
        }
    }
}

/// Whether this process still runs. Its sockets stay open until its last thread ends, and the main thread may end earlier, so
/// this looks at every thread.
pub fn is_running(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.into_iter().any(|thread| {
        let state = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        state.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
    })
}
