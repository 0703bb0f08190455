//! How the running process is asked: HTTP/1.1 over its Unix socket, or over TCP with the token.

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
use crate::cli::ended::Ended;

/// Longer than the longest poll.
const PATIENCE: Duration = Duration::from_secs(95);
/// Octets of an answer.
const LARGEST: usize = 64 * 1024 * 1024;
const DEFAULT_FILE: &str = "/etc/burdock/burdock.yaml";
const DEFAULT_SOCKET: &str = "/run/burdock/admin.sock";

/// Where the process is.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// Its Unix socket [default: the one of the configuration, or /run/burdock/admin.sock]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "url")]
    socket: Option<PathBuf>,
    /// The configuration that it runs with, to find its socket [default: /etc/burdock/burdock.yaml]
    #[arg(short, long = "conf", global = true, value_name = "FILE", conflicts_with_all = ["socket", "url"])]
    conf: Option<PathBuf>,
    /// Its admin address, as in http://127.0.0.1:9180, in place of the socket
    #[arg(long, global = true, requires = "token_file")]
    url: Option<Uri>,
    /// The file with the token for --url
    #[arg(long, global = true, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    Usage(String),
    #[error("no Burdock answers at {place}: {error}{}", hint(.error))]
    Unreachable { place: String, error: io::Error },
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("{}", refusal(.0))]
    Refused(Problem),
    #[error("the answer is none that this version understands: {0}")]
    Unclear(String),
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

/// Asks one process.
pub struct Client {
    place: Place,
    patience: Duration,
    runtime: Runtime,
}

enum Place {
    Socket(PathBuf),
    Tcp { authority: String, token: String },
}

impl AskError {
    /// Says it to whoever has typed the command: how that ends.
    pub fn report(&self) -> Ended {
        eprintln!("burdock: {self}");
        match self {
            Self::Usage(_) => Ended::Misused,
            Self::Unreachable { .. } | Self::Broken(_) | Self::Refused(_) | Self::Unclear(_) | Self::Runtime(_) => {
                Ended::Failed
            }
        }
    }
}

impl Client {
    pub fn new(at: &Where) -> Result<Self, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { place: at.place()?, patience: PATIENCE, runtime })
    }

    /// Waits for answers for so long.
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
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
        let unclear = |error: serde_json::Error| AskError::Unclear(format!("{status}: {error}"));
        if status.is_success() {
            serde_json::from_slice(&body).map_err(unclear)
        } else {
            Err(AskError::Refused(serde_json::from_slice(&body).map_err(unclear)?))
        }
    }

    fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), AskError> {
        let request = self.request(method, path, body)?;
        let exchange = async {
            match &self.place {
                Place::Socket(path) => {
                    send(UnixStream::connect(path).await.map_err(|error| self.unreachable(error))?, request).await
                }
                Place::Tcp { authority, .. } => {
                    send(TcpStream::connect(authority).await.map_err(|error| self.unreachable(error))?, request).await
                }
            }
        };
        let in_time = async { tokio::time::timeout(self.patience, exchange).await };
        self.runtime.block_on(in_time).unwrap_or_else(|_| Err(AskError::Broken("it takes too long".to_owned())))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AskError> {
        let mut request = Request::builder().method(method).uri(path);
        request = match &self.place {
            Place::Socket(_) => request.header(HOST, "burdock"),
            Place::Tcp { authority, token } => {
                request.header(HOST, authority).header(AUTHORIZATION, format!("Bearer {token}"))
            }
        };
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body)).map_err(|error| AskError::Usage(error.to_string()))
    }

    fn unreachable(&self, error: io::Error) -> AskError {
        AskError::Unreachable { place: self.place.to_string(), error }
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let carrying = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| AskError::Broken(error.to_string()))?;
    carrying.abort();
    Ok((status, body.to_bytes()))
}

impl Where {
    fn place(&self) -> Result<Place, AskError> {
        match (&self.url, &self.token_file, &self.socket, &self.conf) {
            (Some(url), Some(file), ..) => tcp(url, file),
            (None, _, Some(socket), _) => Ok(Place::Socket(socket.clone())),
            (None, _, None, Some(file)) => configured(file).map(Place::Socket),
            (None, _, None, None) | (Some(_), None, ..) => {
                let found = Path::new(DEFAULT_FILE).exists().then(|| configured(Path::new(DEFAULT_FILE)).ok()).flatten();
                Ok(Place::Socket(found.unwrap_or_else(|| DEFAULT_SOCKET.into())))
            }
        }
    }
}

fn tcp(url: &Uri, file: &Path) -> Result<Place, AskError> {
    let authority = url.authority().filter(|_| url.scheme_str() == Some("http") && url.path() == "/");
    let authority = authority.ok_or_else(|| AskError::Usage("--url is written as http://ADDRESS:PORT".to_owned()))?;
    let port = if authority.port().is_none() { ":80" } else { "" };
    let token = std::fs::read_to_string(file);
    let token = token.map_err(|error| AskError::Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(Place::Tcp { authority: format!("{authority}{port}"), token: token.trim().to_owned() })
}

/// The socket of a configuration.
fn configured(file: &Path) -> Result<PathBuf, AskError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| AskError::Usage(format!("cannot read {name}: {error}")))?;
    let config = Config::parse(&name, &text).map_err(|errors| AskError::Usage(errors.to_string()))?;
    let none = || AskError::Usage(format!("{name} says that there is no admin socket: use --url and --token-file"));
    config.admin.socket.ok_or_else(none)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp { authority, .. } => f.write_str(authority),
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    const HINTS: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::NotFound, "\n  is it running, and is this its admin.socket? See --socket, -c and --url"),
        (io::ErrorKind::ConnectionRefused, "\n  nothing listens there any more: is it running?"),
        (io::ErrorKind::PermissionDenied, "\n  the socket is for Burdock's user and root"),
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
