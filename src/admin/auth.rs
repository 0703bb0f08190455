//! Access to the API. On the Unix socket, every user with access to the socket is admitted. At the admin address, a request needs
//! the token, and must not be one that a browser sends for a foreign page: neither an application's SSRF nor an operator's browser
//! may move traffic.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::extract::{Request, State as Shared};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::audit::Caller;
use crate::api::problem::Problem;
use crate::control::state::ProcessState;
use crate::runtime::bearer::{Bearer, Verdict};

/// How a request reached us.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    Socket { uid: u32 },
    Tcp { peer: Option<SocketAddr>, local: Option<SocketAddr> },
}

/// Admits a request and attaches its caller, for the audit lines.
pub async fn authorize(Shared(state): Shared<Arc<ProcessState>>, mut request: Request, next: Next) -> Response {
    let Some(via) = request.extensions().get::<Via>().copied() else {
        return Problem::new(StatusCode::FORBIDDEN, "the origin of this request is unknown").into_response();
    };
    let caller = match admit(via, &state.bearer, request.uri(), request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return refused(problem),
    };
    if state.serving.readiness.is_leaving() && !is_read(request.method()) {
        let detail =
            "this process is shutting down and accepts no changes; if a new process has taken over, reconnect to reach it";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn admit(via: Via, bearer: &Bearer, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Problem> {
    match via {
        Via::Socket { uid } => Ok(Caller::User { uid }),
        Via::Tcp { peer, local } => {
            let verdict = bearer.verify(token(headers));
            if verdict == Verdict::Off {
                let detail =
                    "the API is disabled at this address: use the Unix socket (admin.socket), or set admin.token_file";
                return Err(Problem::new(StatusCode::NOT_FOUND, detail));
            }
            check_host(uri, headers, [bearer.address(), local])?;
            check_no_origin(headers)?;
            match verdict {
                Verdict::Right => Ok(Caller::Token { from: peer }),
                Verdict::Wrong | Verdict::Off => Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "send the token of admin.token_file: Authorization: Bearer TOKEN",
                )),
            }
        }
    }
}

/// The host must be our address as numbers: a name could be one that the owner of a foreign page points at us (DNS rebinding).
fn check_host(uri: &Uri, headers: &HeaderMap, ours: [Option<SocketAddr>; 2]) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    let is_ours = |text: &str| ours.iter().flatten().any(|address| names(text, *address));
    let authority = uri.authority().is_none_or(|authority| is_ours(authority.as_str()));
    if authority && host.is_some_and(is_ours) {
        return Ok(());
    }
    let address = ours.iter().flatten().next().map_or_else(String::new, |address| format!(", which is {address}"));
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, format!("the Host header must be the admin address{address}")))
}

fn names(text: &str, address: SocketAddr) -> bool {
    let short = || text.parse().ok().map(|ip| SocketAddr::new(ip, 80));
    text.parse().ok().or_else(short) == Some(address)
}

fn check_no_origin(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.contains_key(ORIGIN) {
        false => Ok(()),
        true => Err(Problem::new(StatusCode::FORBIDDEN, "requests from web pages (with an Origin header) are refused")),
    }
}

fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn refused(problem: Problem) -> Response {
    let unauthorized = problem.status == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misdirected(uri: &str, hosts: &[&str]) -> bool {
        let ours = ["0.0.0.0:9180", "10.0.0.5:9180"].map(|address| address.parse().ok());
        let headers = hosts.iter().map(|host| (HOST, HeaderValue::from_str(host).unwrap())).collect();
        check_host(&uri.parse().unwrap(), &headers, ours).is_err()
    }

    #[test]
    fn host_must_be_the_listening_or_the_connected_address() {
        assert!(!misdirected("/", &["10.0.0.5:9180"]));
        assert!(!misdirected("/", &["0.0.0.0:9180"]));
        assert!(!misdirected("http://10.0.0.5:9180/", &["10.0.0.5:9180"]));
        for host in ["evil.example", "localhost:9180", "10.0.0.5", "10.0.0.5:9181", "10.0.0.6:9180", ""] {
            assert!(misdirected("/", &[host]), "{host}");
        }
        assert!(misdirected("/", &[]));
        assert!(misdirected("/", &["10.0.0.5:9180", "10.0.0.5:9180"]));
        assert!(misdirected("http://evil.example/", &["10.0.0.5:9180"]));
    }
}
