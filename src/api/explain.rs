//! Where a request would go, and why.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, OneOf, Schema, SchemaFormat, Type};

/// A request that nobody has sent.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default = "get")]
    #[schema(default = "GET", pattern = "^[A-Z]{1,20}$")]
    pub method: String,
    /// The host that it names, with or without a port.
    #[serde(default)]
    #[schema(pattern = r"^[0-9A-Za-z.:_\[\]-]{0,255}$")]
    pub host: String,
    /// Path and query.
    #[serde(default = "root")]
    #[schema(default = "/", pattern = "^/[!-~]{0,2000}$")]
    pub path: String,
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 100)]
    pub headers: Vec<Field>,
    /// The address that it comes from.
    #[serde(default = "localhost")]
    #[schema(schema_with = address)]
    pub client: String,
    /// How the client speaks to the edge.
    #[serde(default)]
    #[schema(inline)]
    pub scheme: Scheme,
}

/// A header of it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    #[schema(pattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
    pub name: String,
    #[schema(pattern = "^[ -~]{0,4000}$")]
    pub value: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

/// Where a request would go, and why.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Explanation {
    pub route: Option<String>,
    pub upstream: Option<String>,
    /// Names whose servers only a running process finds: asked without one, there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked_up: Vec<String>,
    pub claims: Vec<ClaimInfo>,
    /// Why it goes there, in the word of log and metrics.
    pub reason: String,
    /// The kind of entry that decided.
    pub method: String,
    /// The server that gets the request; null where it is refused.
    pub server: Option<String>,
    pub address: Option<String>,
    /// Milliseconds for which it would wait for a place there, as the server is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// The server that the session was tied to, if it is another.
    pub from: Option<String>,
    /// The status that Burdock itself answers with, where it does.
    pub status: Option<u16>,
    /// Headers that the server gets because of the tie.
    pub to_server: BTreeMap<String, String>,
    /// What the response would do to the tie; only where one was supposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
    /// Set-Cookie lines that are added, or all of them where one of the server's is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_cookie: Vec<String>,
    /// Other headers that the response gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// What the request says of its session to one entry.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ClaimInfo {
    pub entry: String,
    /// `absent`, `tied`, `unknown_server`, or what is wrong with it.
    pub claim: String,
    pub server: Option<String>,
    /// Whose token it is, where it is not one of ours.
    pub foreign: Option<String>,
    /// Seconds since the session was first tied, and since it was last stamped.
    pub age: Option<u32>,
    pub idle: Option<u32>,
}

/// A struct could be written as a list of its fields too: not here.
fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let maps = Vec::<Map<String, Value>>::deserialize(from)?;
    maps.into_iter().map(|map| serde_json::from_value(Value::Object(map)).map_err(D::Error::custom)).collect()
}

fn address() -> Schema {
    let version =
        |format: &str| Object::builder().schema_type(Type::String).format(Some(SchemaFormat::Custom(format.to_owned())));
    let either = OneOf::builder().item(version("ipv4")).item(version("ipv6"));
    Schema::OneOf(either.default(Some(localhost().into())).build())
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn localhost() -> String {
    "127.0.0.1".to_owned()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(route), Some(upstream)) = (&self.route, &self.upstream) else {
            return writeln!(f, "route     none: no route matches host and path\nanswer    404");
        };
        writeln!(f, "route     {route}\nupstream  {upstream}")?;
        for name in &self.not_looked_up {
            writeln!(f, "name      {name}: its servers are found at run time, and not known here")?;
        }
        for claim in &self.claims {
            writeln!(f, "claim     {claim}")?;
        }
        writeln!(f, "reason    {} (method: {})", self.reason, self.method)?;
        match (&self.server, &self.address) {
            (Some(server), Some(address)) if server == address => writeln!(f, "server    {server}")?,
            (Some(server), Some(address)) => writeln!(f, "server    {server} at {address}")?,
            (Some(_) | None, _) => writeln!(f, "answer    {}", self.status.unwrap_or_default())?,
        }
        if let Some(wait) = self.wait {
            writeln!(f, "wait      up to {wait} ms for a place there")?;
        }
        if let Some(from) = &self.from {
            writeln!(f, "from      {from}")?;
        }
        self.to_server.iter().try_for_each(|(name, value)| writeln!(f, "to server {name}: {value}"))?;
        self.settled.iter().try_for_each(|settled| writeln!(f, "settled   {settled}"))?;
        self.set_cookie.iter().try_for_each(|cookie| writeln!(f, "Set-Cookie: {cookie}"))?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

impl fmt::Display for ClaimInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.entry, self.claim)?;
        if let Some(server) = &self.server {
            write!(f, " to {server}")?;
        }
        if let Some(foreign) = &self.foreign {
            write!(f, ", by a token of {foreign}")?;
        }
        if let (Some(age), Some(idle)) = (self.age, self.idle) {
            write!(f, ", for {age} s, stamped {idle} s ago")?;
        }
        Ok(())
    }
}
