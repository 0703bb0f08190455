//! A hypothetical request, and the decision about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, OneOf, Schema, SchemaFormat, Type};

/// A hypothetical request.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default = "get")]
    #[schema(default = "GET", pattern = "^[A-Z]{1,20}$")]
    pub method: String,
    /// The requested host, with or without a port.
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
    /// The client's address.
    #[serde(default = "localhost")]
    #[schema(schema_with = address)]
    pub client: String,
    /// The scheme that the client uses.
    #[serde(default)]
    #[schema(inline)]
    pub scheme: Scheme,
}

/// A header of the request.
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
    /// Names that only a running process looks up: without one, their servers are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_looked_up: Vec<String>,
    pub claims: Vec<ClaimInfo>,
    /// The reason, as in the access log and the metrics.
    pub reason: String,
    /// The persistence method that decided.
    pub method: String,
    /// The server that gets the request; null if the request is refused.
    pub server: Option<String>,
    pub address: Option<String>,
    /// Milliseconds for which the request would wait for a slot, if the server is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// The server that the session was tied to, if it differs.
    pub from: Option<String>,
    /// The status of Burdock's own response, if it refuses the request.
    pub status: Option<u16>,
    /// Headers added to the request to the server.
    pub to_server: BTreeMap<String, String>,
    /// What the response would do to the tie; only if a response was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
    /// Set-Cookie lines that Burdock adds; all lines if it changes one of the server's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_cookie: Vec<String>,
    /// Other headers added to the response.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// What one entry reads in the request.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ClaimInfo {
    pub entry: String,
    /// `absent`, `tied`, `unknown_server`, or the error.
    pub claim: String,
    pub server: Option<String>,
    /// The issuer of the token, if it is not Burdock.
    pub foreign: Option<String>,
    /// Seconds since the session was first tied.
    pub age: Option<u32>,
    /// Seconds since its token was last stamped.
    pub idle: Option<u32>,
}

/// Reads objects only: serde would also accept a list of a struct's fields.
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
            writeln!(f, "name      {name}: its servers are looked up at run time, unknown here")?;
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
            writeln!(f, "wait      up to {wait} ms for a slot")?;
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
            write!(f, ", by a {foreign} token")?;
        }
        if let (Some(age), Some(idle)) = (self.age, self.idle) {
            write!(f, ", age {age} s, stamped {idle} s ago")?;
        }
        Ok(())
    }
}
