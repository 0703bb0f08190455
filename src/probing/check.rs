//! One health check of a server: Pingora's check, with one timeout for all of it.

use std::time::Duration;

use ::http::header::HOST;
use burdock::upstream::health::{CheckSpec, HttpProbe, Probe};
use burdock::upstream::server::Server;
use burdock::upstream::spec::Address;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck, TcpHealthCheck};

/// A prepared check.
pub struct Check {
    backend: Backend,
    kind: Box<dyn HealthCheck + Send + Sync>,
    timeout: Duration,
}

impl Check {
    /// None if the server's address is unusable, which the configuration rules out.
    pub fn new(spec: &CheckSpec, server: &Server) -> Option<Self> {
        let kind: Box<dyn HealthCheck + Send + Sync> = match &spec.probe {
            Probe::Tcp => Box::new(tcp_check(spec.timeout)),
            Probe::Http(probe) => Box::new(http_check(probe, spec.timeout, server)?),
        };
        Some(Self { backend: backend(server, spec.port)?, kind, timeout: spec.timeout })
    }

    /// A check that only connects.
    pub fn tcp(timeout: Duration, server: &Server) -> Option<Self> {
        Some(Self { backend: backend(server, None)?, kind: Box::new(tcp_check(timeout)), timeout })
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// Why the check failed.
    pub async fn run(&self) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.kind.check(&self.backend)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("no response within {:?}", self.timeout)),
        }
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

fn tcp_check(timeout: Duration) -> TcpHealthCheck {
    let mut check = *TcpHealthCheck::new();
    check.peer_template.options.connection_timeout = Some(timeout);
    check
}

fn http_check(probe: &HttpProbe, timeout: Duration, server: &Server) -> Option<HttpHealthCheck> {
    let host = probe.host.clone().unwrap_or_else(|| match (&server.spec().host, &server.spec().address) {
        (Some(host), _) => host.to_string(),
        (None, Address::Inet(address)) => address.to_string(),
        (None, Address::Unix(_)) => "localhost".to_owned(),
    });
    let mut check: HttpHealthCheck = HttpHealthCheck::new(&host, false);
    check.peer_template.options.connection_timeout = Some(timeout);
    check.peer_template.options.read_timeout = Some(timeout);
    check.req = request(probe, &host)?;
    let expected = probe.clone();
    check.validator = Some(Box::new(move |response: &ResponseHeader| match response.status.as_u16() {
        status if expected.expects(status) => Ok(()),
        status => {
            Error::e_explain(ErrorType::CustomCode("unexpected status", status), format!("unexpected status {status}"))
        }
    }));
    Some(check)
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
