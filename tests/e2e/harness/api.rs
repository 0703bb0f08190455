//! The admin API at its Unix socket: one connection for each request.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Request, Response};

/// Longer than any long poll that a test makes.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Clone, Debug)]
pub struct Api(PathBuf);

impl Api {
    pub fn new(socket: PathBuf) -> Self {
        Self(socket)
    }

    /// Sends a request whose target is under `/api/v1`.
    pub fn ask(&self, request: Request) -> Response {
        let mut stream = UnixStream::connect(&self.0).unwrap_or_else(|error| panic!("{}: {error}", self.0.display()));
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        stream.write_all(&request.header("Connection", "close").bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Response::parse_all(&answer)
    }

    /// The JSON at this path.
    pub fn get(&self, path: &str) -> Value {
        let response = self.ask(Request::get(&format!("/api/v1{path}")));
        assert_eq!(response.status, 200, "{path}: {response:?}");
        response.json()
    }

    /// Sends JSON and returns the response, whatever its status.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.ask(with_json(method, path, body))
    }
}

/// An API request with a JSON body.
pub fn with_json(method: &str, path: &str, body: &Value) -> Request {
    let request = Request::new(method, &format!("/api/v1{path}")).header("Content-Type", "application/json");
    request.body(body.to_string())
}
