//! Session tables and their sessions.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The current state of a session table.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TableInfo {
    pub name: String,
    /// Live sessions, exact to a tenth of the idle timeout.
    pub sessions: u64,
    /// The most sessions that it can hold.
    pub capacity: u32,
    /// The most memory that it can take, in bytes.
    pub bytes: usize,
    /// Seconds without a request after which a session ends; null: never.
    pub idle_timeout: Option<u32>,
    /// Seconds after which a session ends in any case; null: never.
    pub max_life: Option<u32>,
    pub persistence: Persistence,
}

/// Whether learned sessions are saved to disk.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// Not configured.
    Off,
    On,
    /// Another process still holds the directory.
    Waiting,
    /// Writing fails at present.
    Failing,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TableList {
    pub tables: Vec<TableInfo>,
}

/// A table with its sessions per server.
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

/// A learned session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionInfo {
    /// The first 16 hexadecimal digits of the keyed hash of its id. The id itself is not stored.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    pub fingerprint: String,
    /// The server that the session is tied to.
    pub server: String,
    /// Seconds since the session was first tied.
    pub age: u32,
    /// Seconds since its last request, exact to a tenth of the idle timeout.
    pub idle: u32,
    /// Whether a request with its id has come since it was learned.
    pub established: bool,
}

/// One page of the list of sessions, in no particular order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionList {
    pub sessions: Vec<SessionInfo>,
    /// The `cursor` of the next page; null on the last page. A page may be short or empty without being the last.
    pub next: Option<String>,
}

/// Which sessions to list: those that match every condition.
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
    /// The first hexadecimal digits of the fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^[0-9a-fA-F]{1,32}$")]
    pub prefix: Option<String>,
    /// First tied at least this many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 4_294_967_295_i64)]
    pub older_than: Option<u32>,
    /// First tied less than this many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 4_294_967_295_i64)]
    pub younger_than: Option<u32>,
    /// The most sessions on a page; 100 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
    /// Where to continue: `next` of the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^[0-9a-f]{16}$")]
    pub cursor: Option<String>,
}

/// A session, by the id that the application gave it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSession {
    /// The session id as clients send it. It is hashed, and neither stored nor logged.
    #[schema(min_length = 1)]
    pub id: String,
}

/// A server whose sessions to forget.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetServer {
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub server: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct Forgotten {
    /// The number of forgotten sessions.
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
