//! `admin`: the service for operators.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::directories;
use super::names::ListenAddress;
use crate::config::schema::map::record;
use crate::config::schema::read::{Hint, Leaf};
use crate::config::schema::scalar::{AbsolutePath, OrNone};
use crate::config::values::Admin;

record! {
    "admin" => struct AdminText {
        /// Where metrics and health are served, or none. Any client that can reach it can read them.
        address: OrNone<AdminAddress> = "127.0.0.1:9180",
        /// The Unix socket that also serves the API, for Burdock's user and root only, or none. The default is
        /// admin.sock in process.runtime_dir.
        socket: Option<OrNone<SocketPath>>,
        /// A file with the token for the API at `address`. Without it the API is served on the socket only.
        token_file: Option<AbsolutePath>,
    }
}

/// The address of the admin service.
pub(super) struct AdminAddress;

/// The path of a Unix socket.
pub(super) struct SocketPath;

/// The longest path of a Unix socket (`sun_path` without its final zero byte).
const MAX_PATH_BYTES: usize = 107;

impl Leaf for AdminAddress {
    type Value = SocketAddr;
    const EXPECTED: &'static str = "an address to listen on such as 127.0.0.1:9180, or none";

    fn parse(text: &str) -> Result<Self::Value, Hint> {
        Ok(<ListenAddress as Leaf>::parse(text)?.0)
    }

    fn schema() -> serde_json::Value {
        <ListenAddress as Leaf>::schema()
    }
}

impl Leaf for SocketPath {
    type Value = PathBuf;
    const EXPECTED: &'static str = "the path of a socket such as /run/burdock/admin.sock, or none";

    fn parse(text: &str) -> Result<PathBuf, Hint> {
        match text {
            path if path.len() > MAX_PATH_BYTES => Err(Hint::by("a socket's path has at most 107 bytes")),
            path => AbsolutePath::parse(path),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^/", "maxLength": MAX_PATH_BYTES})
    }
}

impl AdminText {
    pub(super) fn build(self, runtime_dir: &Path) -> Admin {
        let socket = self.socket.unwrap_or_else(|| Some(directories::admin_socket(runtime_dir)));
        Admin { address: self.address, socket, token_file: self.token_file }
    }
}
