//! The whole configuration: its sections, and how they are combined and checked against each other.

use serde_json::json;

use super::admin::AdminText;
use super::directories::Directories;
use super::dns::DnsText;
use super::listener::ListenerText;
use super::process::{Key, Keys, ProcessText};
use super::route::RouteText;
use super::sticky::entries;
use super::tables::TableText;
use super::upstream::UpstreamText;
use super::{accept, conflicts, foreign_words, listener, loops, response_source, route, source, tables, upstream};
use crate::config::conflicts::PlacedUpstream;
use crate::config::schema::errors::{Errors, Fault, Findings, Location};
use crate::config::schema::map::{OrShort, record};
use crate::config::schema::read::{At, ListOf, MapOf, Read, SomeOf, State};
use crate::config::schema::tree::{Node, Value};
use crate::config::values::{AccessLog, Config, Text};

use crate::balancer::spec::{Plan, StickyUpstreamSpec};
use crate::ids::UpstreamName;
use crate::table::TableName;

record! {
    "the configuration" => struct ConfigText {
        /// Where clients connect: addresses, or addresses with settings.
        listeners: At<SomeOf<OrShort<ListenerText>>>,
        /// Metrics, health and the API.
        admin: AdminText = "{}",
        /// Settings of the process.
        process: ProcessText = "{}",
        /// How server names are looked up.
        dns: DnsText = "{}",
        /// The log with one line per request.
        access_log: AccessLog = "{}",
        /// Where to find the keys for tokens: the first seals them, any of them opens them. Without keys, Burdock
        /// creates one in the state directory, and other balancers cannot open its tokens.
        keys: Keys = "[]",
        /// Where to find the key that fingerprints the names of learned sessions. Balancers that must place sessions
        /// alike share it. By default Burdock creates one in the state directory. Changing the key drops all learned
        /// sessions.
        fingerprint_key: Option<Key>,
        /// Groups of servers, by name.
        upstreams: At<MapOf<UpstreamName, UpstreamText>>,
        /// The tables of learned sessions, by name. A table with the name of its upstream's scope is created by
        /// default.
        tables: MapOf<TableName, TableText> = "{}",
        /// Which requests go to which upstream. Optional if there is only one upstream.
        routes: Option<At<ListOf<RouteText>>>,
    }
}

impl Config {
    /// Parses the configuration of a system service. `name` is its name in messages, usually the path of the file.
    ///
    /// # Errors
    /// All errors; for invalid YAML only the first one.
    pub fn parse(name: &str, text: &str) -> Result<Self, Errors> {
        Self::parse_with(name, text, &Directories::of_system())
    }

    /// As [`Self::parse`], for a process with these directories unless the configuration names others.
    ///
    /// # Errors
    /// All errors; for invalid YAML only the first one.
    pub fn parse_with(name: &str, text: &str, defaults: &Directories) -> Result<Self, Errors> {
        let mut findings = Findings::with(foreign_words::TABLES);
        let root = Node::parse(text, &mut findings).map_err(|fault| Errors::one(name, fault))?;
        let root = if matches!(root.value, Value::Null) { Node::literal("{}", root.at) } else { root };
        let config = ConfigText::read(&root, &mut findings).map(|written| build(written, root.at, defaults, &mut findings));
        let warnings = findings.into_result(name)?;
        // If there are no faults, there is a value.
        let config = config.ok_or_else(|| Errors::one(name, unread(root.at)))?;
        Ok(Self { warnings, text: Text(text.into()), ..config })
    }

    /// The JSON Schema (draft 2020-12) of the configuration, for editors and other programs.
    pub fn schema() -> serde_json::Value {
        let mut schema = ConfigText::schema();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["title"] = json!("Burdock configuration");
        let sources = source::definitions().into_iter().chain(response_source::definitions());
        schema["$defs"] = sources.chain([entries::definition(), accept::definition()]).collect();
        schema
    }
}

fn unread(at: Location) -> Fault {
    Fault { at: at.position, path: String::new(), message: "this is not a configuration".to_owned(), help: None }
}

/// Combines the parts, and checks them against each other.
fn build(written: ConfigText, root: Location, defaults: &Directories, findings: &mut Findings) -> Config {
    let upstreams = written.upstreams;
    if upstreams.value.is_empty() && upstreams.state == State::Sound {
        findings.fault(upstreams.at, "expected at least one upstream, found none");
    }
    let names: Vec<At<UpstreamName>> = upstreams.value.iter().map(|(name, _)| name.clone()).collect();
    let routes = route::build(written.routes, &names, root, findings);
    let upstreams: Vec<PlacedUpstream> =
        upstreams.value.into_iter().filter_map(|(name, upstream)| Some(placed(&name, upstream?, findings))).collect();
    conflicts::check(&upstreams, &routes, findings);
    let tables = tables::build(written.tables, &upstreams, findings);
    let process = written.process.build(defaults);
    let admin = written.admin.build(&process.runtime_dir);
    let listeners = listener::build(written.listeners, &admin, findings);
    loops::check(&upstreams, &listeners, findings);
    Config {
        listeners,
        admin,
        process,
        access_log: written.access_log,
        keys: written.keys,
        fingerprint_key: written.fingerprint_key,
        plan: Plan {
            upstreams: upstreams.into_iter().map(|upstream| upstream.spec).collect(),
            routes: routes.into_iter().map(|route| route.spec).collect(),
            tables,
            dns: written.dns.build(findings),
        },
        warnings: Vec::new(),
        text: Text::default(),
    }
}

fn placed(name: &At<UpstreamName>, written: UpstreamText, findings: &mut Findings) -> PlacedUpstream {
    let built = upstream::build(name, written, findings);
    let (sticky, entries_at) = entries::build(&name.value, built.sticky, &built.spec, findings);
    let spec = StickyUpstreamSpec { upstream: built.spec, sticky, hash_key: built.hash_key };
    PlacedUpstream {
        spec,
        servers_at: built.servers_at,
        addresses_at: built.addresses_at,
        found_at: built.found_at,
        entries_at,
    }
}
