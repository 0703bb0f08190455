//! The client of the admin API: HTTP/1.1 over the Unix socket, or over TCP with the token.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use ::http::{Method, Request, StatusCode, Uri};
use burdock::config::Config;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use crate::api::problem::Problem;
use crate::cli::outcome::Outcome;
use crate::runtime::directories;

/// Time for a response: longer than the longest long poll.
const TIMEOUT: Duration = Duration::from_secs(95);
/// Largest response body, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;
const DEFAULT_FILE: &str = "/etc/burdock/burdock.yaml";

/// The process to talk to.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The admin socket [default: from the configuration, or admin.sock in the default process.runtime_dir]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "url")]
    socket: Option<PathBuf>,
    /// The configuration file that names the admin socket [default: /etc/burdock/burdock.yaml]
    #[arg(short, long = "conf", global = true, value_name = "FILE", conflicts_with_all = ["socket", "url"])]
    conf: Option<PathBuf>,
    /// The admin address, such as http://127.0.0.1:9180, instead of the socket
    #[arg(long, global = true, requires = "token_file")]
    url: Option<Uri>,
    /// The file with the token for --url
    #[arg(long, global = true, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    Usage(String),
    #[error("cannot connect to Burdock at {endpoint}: {error}{}", hint(.error))]
    Unreachable { endpoint: String, error: io::Error },
    #[error("no complete response: {0}")]
    Broken(String),
    #[error("{}", refusal(.0))]
    Refused(Problem),
    #[error("unexpected response, from another version of Burdock: {0}")]
    Unexpected(String),
    #[error("no server matches {0}; nothing changed. `burdock ctl servers` lists them")]
    NoMatch(String),
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

/// A client of one process.
pub struct Client {
    endpoint: Endpoint,
    timeout: Duration,
    runtime: Runtime,
}

enum Endpoint {
    Socket(PathBuf),
    Tcp { authority: String, token: String },
}

impl AskError {
    /// Prints the error and returns the command's outcome.
    pub fn report(&self) -> Outcome {
        eprintln!("burdock: {self}");
        match self {
            Self::Usage(_) => Outcome::UsageError,
            Self::Unreachable { .. }
            | Self::Broken(_)
            | Self::Refused(_)
            | Self::Unexpected(_)
            | Self::NoMatch(_)
            | Self::Runtime(_) => Outcome::Failure,
        }
    }
}

impl Client {
    pub fn new(at: &Target) -> Result<Self, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { endpoint: at.endpoint()?, timeout: TIMEOUT, runtime })
    }

    /// The same client with another timeout.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub fn get(&self, path: &str) -> Result<Value, AskError> {
        self.ask(Method::GET, path, Bytes::new())
    }

    pub fn delete(&self, path: &str) -> Result<Value, AskError> {
        self.ask(Method::DELETE, path, Bytes::new())
    }

    pub fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Value, AskError> {
        let body = serde_json::to_vec(body).map_err(|error| AskError::Usage(error.to_string()))?;
        self.ask(method, path, body.into())
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> Result<String, AskError> {
        let (_, body) = self.exchange(Method::GET, "/metrics", Bytes::new())?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Value, AskError> {
        let (status, body) = self.exchange(method, path, body)?;
        let unexpected = |error: serde_json::Error| AskError::Unexpected(format!("{status}: {error}"));
        if status.is_success() {
            serde_json::from_slice(&body).map_err(unexpected)
        } else {
            Err(AskError::Refused(serde_json::from_slice(&body).map_err(unexpected)?))
        }
    }

    fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), AskError> {
        let request = self.request(method, path, body)?;
        let exchange = async {
            match &self.endpoint {
                Endpoint::Socket(path) => {
                    send(UnixStream::connect(path).await.map_err(|error| self.unreachable(error))?, request).await
                }
                Endpoint::Tcp { authority, .. } => {
                    send(TcpStream::connect(authority).await.map_err(|error| self.unreachable(error))?, request).await
                }
            }
        };
        let in_time = async { tokio::time::timeout(self.timeout, exchange).await };
        self.runtime.block_on(in_time).unwrap_or_else(|_| Err(AskError::Broken("timed out".to_owned())))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AskError> {
        let mut request = Request::builder().method(method).uri(path);
        request = match &self.endpoint {
            Endpoint::Socket(_) => request.header(HOST, "burdock"),
            Endpoint::Tcp { authority, token } => {
                request.header(HOST, authority).header(AUTHORIZATION, format!("Bearer {token}"))
            }
        };
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body)).map_err(|error| AskError::Usage(error.to_string()))
    }

    fn unreachable(&self, error: io::Error) -> AskError {
        AskError::Unreachable { endpoint: self.endpoint.to_string(), error }
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|error| AskError::Broken(error.to_string()))?;
    driver.abort();
    Ok((status, body.to_bytes()))
}

impl Target {
    fn endpoint(&self) -> Result<Endpoint, AskError> {
        match (&self.url, &self.token_file, &self.socket, &self.conf) {
            (Some(url), Some(file), ..) => tcp(url, file),
            (None, _, Some(socket), _) => Ok(Endpoint::Socket(socket.clone())),
            (None, _, None, Some(file)) => configured(file).map(Endpoint::Socket),
            (None, _, None, None) | (Some(_), None, ..) => {
                let found = Path::new(DEFAULT_FILE).exists().then(|| configured(Path::new(DEFAULT_FILE)).ok()).flatten();
                Ok(Endpoint::Socket(found.unwrap_or_else(|| directories::defaults().admin_socket())))
            }
        }
    }
}

fn tcp(url: &Uri, file: &Path) -> Result<Endpoint, AskError> {
    let authority = url.authority().filter(|_| url.scheme_str() == Some("http") && url.path() == "/");
    let authority = authority.ok_or_else(|| AskError::Usage("--url: expected http://ADDRESS:PORT".to_owned()))?;
    let port = if authority.port().is_none() { ":80" } else { "" };
    let token = std::fs::read_to_string(file);
    let token = token.map_err(|error| AskError::Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(Endpoint::Tcp { authority: format!("{authority}{port}"), token: token.trim().to_owned() })
}

/// The admin socket of a configuration file.
fn configured(file: &Path) -> Result<PathBuf, AskError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| AskError::Usage(format!("cannot read {name}: {error}")))?;
    let config =
        Config::parse_with(&name, &text, directories::defaults()).map_err(|errors| AskError::Usage(errors.to_string()))?;
    let none = || AskError::Usage(format!("{name} disables the admin socket: use --url and --token-file"));
    config.admin.socket.ok_or_else(none)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp { authority, .. } => f.write_str(authority),
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    const HINTS: [(io::ErrorKind, &str); 3] = [
        (
            io::ErrorKind::NotFound,
            "\n  is Burdock running, and is this its admin.socket? See --socket, -c and --url; that of a system service needs root",
        ),
        (io::ErrorKind::ConnectionRefused, "\n  nothing listens there: is Burdock running?"),
        (io::ErrorKind::PermissionDenied, "\n  only Burdock's user and root may open the socket"),
    ];
    HINTS.iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, hint)| hint)
}

fn refusal(problem: &Problem) -> String {
    let mut text = problem.detail.clone();
    for error in &problem.errors {
        text.push_str(&format!("\n  {}: {}", error.at, error.detail));
    }
    text
}
