//! A running Burdock: the real binary with a configuration file, ended by its process id.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::{Api, Client, Line, Metrics, Request, Response, Site, Wire, eventually, signal, wait_until};

/// What every test's configuration has, unless it says something else: each line is left out where the test's own text has
/// its key.
const COMMON: [&str; 4] = [
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
    /// Starts with this configuration (`$IP` and `$DIR` stand for the site's, what is common to all tests is added) and waits
    /// until it is ready.
    pub fn start(site: &Site, yaml: &str) -> Self {
        Self::launch(site, yaml, &[]).ready()
    }

    /// As [`Self::start`], with a variable in its environment.
    pub fn start_with(site: &Site, yaml: &str, variable: (&str, &str)) -> Self {
        Self::launch_with(site, yaml, &[variable]).ready()
    }

    /// As [`Self::launch`], with variables in its environment.
    pub fn launch_with(site: &Site, yaml: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(site, yaml, |command| command.envs(variables.iter().copied()))
    }

    /// As [`Self::start`], with further arguments and without waiting.
    pub fn launch(site: &Site, yaml: &str, args: &[&str]) -> Self {
        Self::spawn(site, yaml, |command| command.args(args))
    }

    fn ready(mut self) -> Self {
        wait_until("burdock is ready", || {
            assert!(self.has_ended().is_none(), "burdock did not start");
            self.readiness() == Some(200)
        });
        self
    }

    fn spawn(site: &Site, yaml: &str, adjust: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let file = site.write("burdock.yaml", &complete(yaml));
        let mut command = Command::new(env!("CARGO_BIN_EXE_burdock"));
        command.args(["run", "-c"]).arg(file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = adjust(&mut command).spawn().unwrap();
        let stdout = Output::collect(child.stdout.take().unwrap());
        let stderr = Output::collect(child.stderr.take().unwrap());
        let (socket, log) = (site.socket(), site.path("access.log"));
        Self { child, listen: site.listen(), admin: site.admin(), socket, log, stdout, stderr }
    }

    /// Lets it take up another configuration (completed as for [`Self::start`]) and waits until it has answered: whether it is in
    /// force.
    pub fn reload(&self, site: &Site, yaml: &str) -> bool {
        let count = |result| self.metrics().sum("burdock_reloads_total", &[("result", result)]);
        let (applied, refused) = (count("applied"), count("refused"));
        site.write("burdock.yaml", &complete(yaml));
        self.signal("HUP");
        eventually("the reload is over", || match (count("applied") > applied, count("refused") > refused) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        })
    }

    /// A GET by a client that nobody knows, on a connection of its own.
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

    /// A client that is tied to this server by now.
    pub fn client_at(&self, server: &str) -> Client {
        eventually(&format!("somebody is tied to {server}"), || {
            let mut client = self.client();
            (client.get("/").served_by() == server).then_some(client)
        })
    }

    /// The API at the Unix socket.
    pub fn api(&self) -> Api {
        Api::new(self.socket.clone())
    }

    pub fn readiness(&self) -> Option<u16> {
        let mut wire = Wire::try_open(self.admin).ok()?;
        wire.try_ask(&Request::get("/readyz")).ok().map(|response| response.status)
    }

    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.exposition())
    }

    /// The text of `/metrics`.
    pub fn exposition(&self) -> String {
        Wire::open(self.admin).ask(&Request::get("/metrics")).text()
    }

    /// The access log, once it has so many lines.
    pub fn log(&self, lines: usize) -> Vec<Line> {
        eventually(&format!("{lines} lines in the access log"), || {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let whole: Vec<Line> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(Line::parse).collect();
            (whole.len() >= lines).then_some(whole)
        })
    }

    /// The log line of the one request for this path.
    pub fn line(&self, path: &str) -> Line {
        eventually(&format!("a log line of {path}"), || self.log(0).into_iter().find(|line| line.text("path") == path))
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until these words are among its messages, which come by a pipe of their own.
    pub fn tells(&self, words: &str) {
        wait_until(&format!("it says: {words}"), || self.stderr().contains(words));
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself, and all that it said has arrived.
    pub fn wait(&mut self) -> ExitStatus {
        let status = eventually("burdock ends", || self.has_ended());
        wait_until("its last words", || self.stdout.is_whole() && self.stderr.is_whole());
        status
    }

    /// Waits until it ends by itself. What a successor says comes by the same pipes, so they may stay open.
    pub fn leaves(&mut self) -> ExitStatus {
        eventually("burdock leaves", || self.has_ended())
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
            println!("burdock said:\n{}", self.stderr());
            println!("its access log:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// What a process says, as it comes.
struct Output {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

/// The text with what is common to all tests.
pub fn complete(yaml: &str) -> String {
    let missing = COMMON.iter().filter(|line| {
        let key = line.split(':').next().unwrap_or_default();
        !yaml.lines().any(|own| own.split(':').next() == Some(key))
    });
    let common: String = missing.map(|line| format!("{line}\n")).collect();
    common + yaml
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

    fn is_whole(&self) -> bool {
        self.reader.is_finished()
    }
}

/// A process that a Burdock has started to take over from it, ended when dropped.
pub struct Successor {
    process: u32,
    api: Api,
    pub listen: SocketAddr,
}

impl Successor {
    /// Lets a process hand over by the API.
    pub fn of(predecessor: &Burdock) -> Self {
        Self::asked(&predecessor.api(), predecessor.listen)
    }

    /// Lets it hand over in its turn.
    pub fn next(&self) -> Self {
        Self::asked(&self.api, self.listen)
    }

    fn asked(api: &Api, listen: SocketAddr) -> Self {
        let answer = api.send("POST", "/upgrade", &serde_json::json!({}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let process = answer.json()["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process id");
        Self { process, api: api.clone(), listen }
    }

    pub fn process(&self) -> u32 {
        self.process
    }

    pub fn api(&self) -> Api {
        self.api.clone()
    }

    pub fn is_there(&self) -> bool {
        is_running(self.process)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if self.is_there() {
            signal(self.process, "KILL");
            // It holds its addresses until then.
            wait_until("it is gone", || !self.is_there());
        }
    }
}

/// Whether there is this process, and it has not ended: its sockets are open until its last thread is gone, and its first
/// may go before.
pub fn is_running(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.into_iter().any(|thread| {
        let state = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        state.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
    })
}
