//! A minimal browser: one persistent connection and a cookie jar.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use super::{Request, Response, Wire};

pub struct Client {
    to: SocketAddr,
    wire: Option<Wire>,
    /// By name. Paths and domains do not matter with a single host.
    pub jar: BTreeMap<String, String>,
}

impl Client {
    pub fn new(to: SocketAddr) -> Self {
        Self { to, wire: None, jar: BTreeMap::new() }
    }

    pub fn get(&mut self, target: &str) -> Response {
        self.ask(Request::get(target))
    }

    pub fn ask(&mut self, request: Request) -> Response {
        self.try_ask(request).expect("a response")
    }

    /// Sends a request on the open connection, or on a new one if the other end has closed it. A request is sent once.
    pub fn try_ask(&mut self, request: Request) -> io::Result<Response> {
        let kept = self.wire.take().filter(|wire| !wire.is_readable());
        let mut wire = kept.map_or_else(|| Wire::try_open(self.to), Ok)?;
        let response = wire.try_ask(&self.with_cookies(request))?;
        self.remember(&response);
        if response.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.wire = Some(wire);
        }
        Ok(response)
    }

    /// The value of the one cookie whose name starts with `BURDOCK_`.
    pub fn token(&self) -> &str {
        self.session_cookie().unwrap_or_else(|| panic!("no session cookie: {:?}", self.jar))
    }

    pub fn session_cookie(&self) -> Option<&str> {
        self.jar.iter().find(|(name, _)| name.starts_with("BURDOCK_")).map(|(_, value)| &**value)
    }

    fn with_cookies(&self, request: Request) -> Request {
        if self.jar.is_empty() {
            return request;
        }
        let cookies: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("Cookie", &cookies.join("; "))
    }

    fn remember(&mut self, response: &Response) {
        for line in response.set_cookies() {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            let (name, value) = (name.trim(), value.trim());
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
