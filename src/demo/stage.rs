//! The processes of `burdock demo`: three shops and a Burdock in front of them, all children of this process, and a private
//! directory that is removed with them. It must not know what is printed about them.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::mem;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const READY_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where everything listens.
pub struct Addresses {
    pub page: SocketAddr,
    pub admin: SocketAddr,
    pub shops: [SocketAddr; 3],
}

/// The running demo. Dropping it ends every process and removes the directory.
pub struct Stage {
    pub burdock: Process,
    pub shops: Vec<Process>,
    pub files: Files,
}

/// The demo's directory and its files.
pub struct Files {
    directory: TempDir,
    pub program: PathBuf,
}

/// A child process, which ends when this is dropped.
pub struct Process {
    pub name: String,
    /// The shell command that starts another one like it.
    pub command: String,
    child: Child,
}

#[derive(Debug, Error)]
pub enum StageError {
    #[error("cannot listen on {address}: {error}\nChoose another address with {option}.")]
    Address { address: SocketAddr, option: &'static str, error: io::Error },
    #[error("cannot create the demo's directory: {0}")]
    Directory(#[source] io::Error),
    #[error("cannot start {name}: {error}")]
    Start { name: String, error: io::Error },
    #[error("{name} ended before it was ready.\n{output}")]
    Ended { name: String, output: String },
    #[error("{name} was not ready within {} s.\n{output}", READY_TIMEOUT.as_secs())]
    NotReady { name: String, output: String },
}

impl Stage {
    /// Starts the shops, then Burdock, and waits until each is ready.
    ///
    /// # Errors
    /// If an address is in use or a process does not become ready; all started processes are ended.
    pub async fn set(addresses: &Addresses) -> Result<Self, StageError> {
        addresses.are_free()?;
        let files = Files::make(addresses).map_err(StageError::Directory)?;
        let mut shops = Vec::new();
        for (number, address) in (1..).zip(addresses.shops) {
            let mut shop = files.start_shop(&format!("shop-{number}"), address, addresses.admin)?;
            shop.is_ready(address, "/healthz", &files).await?;
            shops.push(shop);
        }
        let mut burdock = files.start_burdock()?;
        burdock.is_ready(addresses.admin, "/readyz", &files).await?;
        Ok(Self { burdock, shops, files })
    }

    /// Takes the shops that have ended since the last call.
    pub fn take_ended_shops(&mut self) -> Vec<Process> {
        let mut ended = Vec::new();
        for mut shop in mem::take(&mut self.shops) {
            let list = if shop.has_ended() { &mut ended } else { &mut self.shops };
            list.push(shop);
        }
        ended
    }
}

impl Addresses {
    fn are_free(&self) -> Result<(), StageError> {
        let shops = self.shops.map(|address| (address, "--port PORT (the first of three)"));
        let ours = [(self.page, "--listen ADDRESS"), (self.admin, "--admin ADDRESS")];
        // All stay bound until the last one: two of them may be the same.
        let mut held = Vec::new();
        for (address, option) in ours.into_iter().chain(shops) {
            let listener = TcpListener::bind(address);
            held.push(listener.map_err(|error| StageError::Address { address, option, error })?);
        }
        Ok(())
    }
}

impl Files {
    fn make(addresses: &Addresses) -> io::Result<Self> {
        let program = env::current_exe()?;
        let private = fs::Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("burdock-demo-").permissions(private).tempdir()?;
        let files = Self { directory, program };
        let mut config = private_file(&files.config())?;
        config.write_all(files.config_text(addresses).map_err(io::Error::other)?.as_bytes())?;
        Ok(files)
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("burdock.yaml")
    }

    pub fn access_log(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    /// Burdock's log, from its stderr.
    pub fn messages(&self) -> PathBuf {
        self.directory.path().join("burdock.log")
    }

    /// For curl.
    pub fn cookie_jar(&self) -> PathBuf {
        self.directory.path().join("cookies")
    }

    fn config_text(&self, addresses: &Addresses) -> Result<String, serde_yaml::Error> {
        let directory = self.directory.path();
        let server = |(at, address): (usize, &SocketAddr)| json!({"id": format!("shop-{}", at + 1), "address": address});
        serde_yaml::to_string(&json!({
            "listeners": [addresses.page],
            "admin": {"address": addresses.admin},
            "process": {
                "threads": 1,
                "state_dir": directory.join("state"),
                "runtime_dir": directory.join("run"),
                "shutdown": {"lame_duck": "0s", "grace": "1s"},
            },
            "access_log": {"to": self.access_log(), "format": "json"},
            "upstreams": {"shop": {
                "servers": addresses.shops.iter().enumerate().map(server).collect::<Vec<_>>(),
                "sticky": "cookie",
                "health_check": {"http": {"path": "/healthz"}, "interval": "1s"},
            }},
        }))
    }

    fn start_shop(&self, name: &str, address: SocketAddr, admin: SocketAddr) -> Result<Process, StageError> {
        let mut command = Command::new(&self.program);
        command.args(["demo-shop", "--id", name, "--listen", &address.to_string()]);
        command.arg("--access-log").arg(self.access_log()).args(["--metrics", &format!("http://{admin}/metrics")]);
        self.start(name, &mut command)
    }

    fn start_burdock(&self) -> Result<Process, StageError> {
        self.start("burdock", Command::new(&self.program).args(["run", "-c"]).arg(self.config()))
    }

    /// Starts a process in its own process group: Ctrl-C goes to the demo, which ends its children itself.
    fn start(&self, name: &str, command: &mut Command) -> Result<Process, StageError> {
        let mut start = || {
            let messages = private_file(&self.messages())?;
            command.stdin(Stdio::null()).stdout(messages.try_clone()?).stderr(messages).process_group(0).spawn()
        };
        let child = start().map_err(|error| StageError::Start { name: name.to_owned(), error })?;
        Ok(Process { name: name.to_owned(), command: command_line(command), child })
    }

    /// The output of Burdock and the shops so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.messages()).unwrap_or_default()
    }
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended; a process whose status is unknown counts as ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    async fn is_ready(&mut self, address: SocketAddr, path: &str, files: &Files) -> Result<(), StageError> {
        let poll = async {
            while !self.has_ended() {
                if is_ok(address, path).await.unwrap_or(false) {
                    return true;
                }
                sleep(POLL_INTERVAL).await;
            }
            false
        };
        let outcome = timeout(READY_TIMEOUT, poll).await;
        let (name, output) = (self.name.clone(), files.output());
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(StageError::Ended { name, output }),
            Err(_) => Err(StageError::NotReady { name, output }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed, as there is nothing to save; an error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command_line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

async fn is_ok(address: SocketAddr, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}

fn private_file(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
