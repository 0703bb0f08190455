//! One health check of a server, with one timeout for all of it. A TCP check is Pingora's. An HTTP check is our own: Pingora's
//! takes an interim response (103 Early Hints) for the answer.

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::HOST;
use burdock::upstream::health::{CheckSpec, HttpProbe, Outcome, Probe};
use burdock::upstream::server::Server;
use burdock::upstream::spec::Address;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, TcpHealthCheck};

use crate::serve::state::ServingState;
use crate::servers::shortage;

/// A prepared check.
pub struct Check {
    kind: Kind,
    timeout: Duration,
}

enum Kind {
    Tcp(Box<TcpHealthCheck>, Backend),
    Http(Box<HttpCheck>),
}

/// A GET on a connection of its own.
struct HttpCheck {
    connector: Connector,
    peer: HttpPeer,
    request: RequestHeader,
    probe: HttpProbe,
}

impl Check {
    /// None if the server's address is unusable, which the configuration rules out.
    pub fn new(spec: &CheckSpec, server: &Server) -> Option<Self> {
        let backend = backend(server, spec.port)?;
        let kind = match &spec.probe {
            Probe::Tcp => Kind::Tcp(tcp_check(spec.timeout), backend),
            Probe::Http(probe) => Kind::Http(Box::new(http_check(probe, spec.timeout, server, backend.addr)?)),
        };
        Some(Self { kind, timeout: spec.timeout })
    }

    /// A check that only connects.
    pub fn tcp(timeout: Duration, server: &Server) -> Option<Self> {
        Some(Self { kind: Kind::Tcp(tcp_check(timeout), backend(server, None)?), timeout })
    }

    /// Runs the check once. A shortage on this host is reported to `state`.
    ///
    /// # Errors
    /// Why the check failed.
    pub async fn run(&self, state: &ServingState) -> Result<Outcome, String> {
        match tokio::time::timeout(self.timeout, self.kind.check()).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => match shortage::of(&error) {
                Some(what) => {
                    state.short_of(what);
                    Ok(Outcome::NotRun)
                }
                None => Err(describe(&error)),
            },
            Err(_) => Err(format!("no response within {:?}", self.timeout)),
        }
    }
}

impl Kind {
    async fn check(&self) -> pingora::Result<Outcome> {
        match self {
            Self::Tcp(check, backend) => check.check(backend).await.map(|()| Outcome::Passed),
            Self::Http(check) => check.check().await,
        }
    }
}

impl HttpCheck {
    async fn check(&self) -> pingora::Result<Outcome> {
        let (mut session, _) = self.connector.get_http_session(&self.peer).await?;
        session.write_request_header(Box::new(self.request.clone())).await?;
        session.finish_request_body().await?;
        session.set_read_timeout(self.peer.options.read_timeout);
        // Interim responses precede the answer (RFC 9110 15.2).
        let status = loop {
            session.read_response_header().await?;
            let status = session.response_header().map_or(StatusCode::OK, |response| response.status);
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                break status.as_u16();
            }
        };
        let outcome = self.probe.outcome(status);
        if outcome == Outcome::Failed {
            return Error::e_explain(ErrorType::CustomCode("unexpected status", status), "health check");
        }
        while session.read_response_body().await?.is_some() {}
        Ok(outcome)
    }
}

/// The error without Pingora's chain of contexts.
fn describe(error: &Error) -> String {
    if let ErrorType::CustomCode(what, code) = error.etype() {
        return format!("{what} {code}");
    }
    error.etype().as_str().to_owned()
}

fn backend(server: &Server, port: Option<u16>) -> Option<Backend> {
    let mut backend = Backend::new("127.0.0.1:1").ok()?;
    backend.addr = match &server.spec().address {
        Address::Inet(address) => {
            let mut address = *address;
            address.set_port(port.unwrap_or_else(|| address.port()));
            SocketAddr::Inet(address)
        }
        Address::Unix(path) => SocketAddr::Unix(std::os::unix::net::SocketAddr::from_pathname(path).ok()?),
    };
    Some(backend)
}

fn tcp_check(timeout: Duration) -> Box<TcpHealthCheck> {
    let mut check = TcpHealthCheck::new();
    check.peer_template.options.connection_timeout = Some(timeout);
    check
}

fn http_check(probe: &HttpProbe, timeout: Duration, server: &Server, address: SocketAddr) -> Option<HttpCheck> {
    let host = probe.host.clone().unwrap_or_else(|| match (&server.spec().host, &server.spec().address) {
        (Some(host), _) => host.to_string(),
        (None, Address::Inet(address)) => address.to_string(),
        (None, Address::Unix(_)) => "localhost".to_owned(),
    });
    let mut peer = HttpPeer::new("127.0.0.1:1", false, String::new());
    peer._address = address;
    peer.options.connection_timeout = Some(timeout);
    peer.options.read_timeout = Some(timeout);
    Some(HttpCheck { connector: Connector::new(None), peer, request: request(probe, &host)?, probe: probe.clone() })
}

fn request(probe: &HttpProbe, host: &str) -> Option<RequestHeader> {
    let mut request = RequestHeader::build("GET", probe.path.as_bytes(), Some(probe.headers.len() + 2)).ok()?;
    request.insert_header(HOST, host).ok()?;
    request.insert_header("User-Agent", "burdock-health-check").ok()?;
    for (name, value) in &probe.headers {
        request.insert_header(name.clone(), value.clone()).ok()?;
    }
    Some(request)
}
