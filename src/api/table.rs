//! Session tables and what is in them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A session table as it is now.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TableInfo {
    pub name: String,
    /// Sessions that live in it: exact to a tenth of the idle time.
    pub sessions: u64,
    /// Sessions that it has room for.
    pub capacity: u32,
    /// The memory that it takes at most, in octets.
    pub bytes: usize,
    /// Seconds without a request after which a session has ended; null: never.
    pub idle_timeout: Option<u32>,
    /// Seconds after which it has ended in any case; null: never.
    pub max_life: Option<u32>,
    pub persistence: Persistence,
}

/// Whether what is learned is written to disk.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// Not wanted.
    Off,
    On,
    /// Another process still has the folder.
    Waiting,
    /// It cannot be written at present.
    Failing,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TableList {
    pub tables: Vec<TableInfo>,
}

/// A table with its sessions counted by server.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TableDetails {
    #[serde(flatten)]
    pub table: TableInfo,
    pub servers: Vec<ServerSessions>,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServerSessions {
    pub server: String,
    pub sessions: u64,
}

/// A session that the application has made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionInfo {
    /// The first 16 hexadecimal digits of the keyed hash that stands for its name. The name itself is kept nowhere.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    pub fingerprint: String,
    /// The server that it is tied to.
    pub server: String,
    /// Seconds since it was first tied.
    pub age: u32,
    /// Seconds since it was last seen, exact to a tenth of the idle time.
    pub idle: u32,
    /// Whether a request has come back to it.
    pub established: bool,
}

/// A part of the list of sessions, in no order that means anything.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionList {
    pub sessions: Vec<SessionInfo>,
    /// The `cursor` of the next part; null behind the last. A part may be short, or empty, and still not be the last.
    pub next: Option<String>,
}

/// Which sessions are wanted: those that meet every condition given.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Tied to this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub server: Option<String>,
    /// Tied to a server of this upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(min_length = 1, max_length = 64)]
    pub upstream: Option<String>,
    /// The beginning of the fingerprint, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^[0-9a-fA-F]{1,32}$")]
    pub prefix: Option<String>,
    /// First tied at least so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 4_294_967_295_i64)]
    pub older_than: Option<u32>,
    /// First tied less than so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 4_294_967_295_i64)]
    pub younger_than: Option<u32>,
    /// So many at most; 100 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
    /// Where to go on: `next` of the part before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^[0-9a-f]{16}$")]
    pub cursor: Option<String>,
}

/// A session by the name that the application gave it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSession {
    /// The session id as clients carry it. It is hashed, and neither stored nor logged.
    #[schema(min_length = 1)]
    pub id: String,
}

/// A server whose sessions are to be forgotten.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetServer {
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub server: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct Forgotten {
    /// Sessions that were forgotten.
    pub forgotten: u64,
}

impl Persistence {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}
