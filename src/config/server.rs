//! `servers` of an upstream.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::names::HostPort;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{Shortened, record};
use crate::config::schema::read::Read;
use crate::config::schema::read::{At, State};
use crate::config::schema::scalar::{Bool, Int};
use crate::config::schema::text::quoted;
use crate::config::schema::tree::{Node, Value};
use crate::ids::ServerId;
use crate::upstream::discovery::{DiscoverySpec, DnsName, Lookup, Template};
use crate::upstream::spec::{Address, Admin, ServerSpec, Tier, Weight};

record! {
    "a server" => struct ServerText {
        /// Its name in tokens, logs and metrics; by default its address as written. It must not change as long as the
        /// server has the same sessions. For servers found by name, this is the start of their ids, by default the
        /// name; @ and the address follow.
        id: Option<At<ServerId>>,
        /// Its name in plain tokens and in routes (nginx's route, HAProxy's server cookie, Tomcat's jvmRoute); by
        /// default its id. Servers that share a route serve each other's sessions.
        route: Option<ServerId>,
        /// IP address and port, or unix:/path. A server has one of address, name and srv.
        address: Option<At<Address>>,
        /// A DNS name and a port: each address of the name becomes a server.
        name: Option<At<HostPort>>,
        /// A DNS service name: each target address of its SRV records becomes a server, with the port in the record.
        srv: Option<At<DnsName>>,
        /// Its share of new sessions relative to the other servers. With 0 it keeps its sessions and gets no new ones.
        /// The default is 1, and for srv the weight in the records.
        weight: Option<Weight>,
        /// The most requests that it may have in flight from this balancer.
        max_conns: Option<Int<NonZeroU32, 1, 4_294_967_295>>,
        /// Its administrative state at startup.
        state: Admin = "ready",
        /// Whether it is used only if no other server accepts new sessions. With srv, all servers except those with the
        /// lowest priority are backups anyway.
        backup: Bool = "false",
    }
}

choice! {
    "a server's state" => Admin {
        /// It serves.
        ready => Self::Ready,
        /// It keeps its sessions and gets no new ones.
        drain => Self::DRAIN,
        /// It gets no requests and is not checked.
        maint => Self::Maint,
    }
}

/// The short form: a server's address or name.
pub(crate) struct ServerWord;

impl Read for ServerWord {
    type Value = ServerText;

    fn read(node: &Node, findings: &mut Findings) -> Option<ServerText> {
        ServerText::read(&ServerText::expand(node, findings)?, findings)
    }

    fn schema() -> serde_json::Value {
        let examples = ["10.0.0.10:8080", "[fd00::10]:8080", "unix:/run/app.sock", "app.internal:8080"];
        serde_json::json!({"type": "string", "examples": examples})
    }
}

impl Shortened for ServerText {
    type Short = ServerWord;

    fn expand(short: &Node, _findings: &mut Findings) -> Option<Node> {
        let is_name = matches!(&short.value, Value::Scalar(text, _) if HostPort::is_meant(text));
        Some(Node::map(if is_name { "name" } else { "address" }, short.clone()))
    }
}

/// A server with an address, with the positions of its id and its address.
pub(super) struct FixedServer {
    pub(super) id_at: Location,
    pub(super) address_at: Location,
    pub(super) spec: Arc<ServerSpec>,
}

/// Servers, and entries with the positions of their ids.
#[derive(Default)]
pub(super) struct Servers {
    pub(super) fixed: Vec<FixedServer>,
    pub(super) found: Vec<(Location, DiscoverySpec)>,
}

/// The address of a server, or the lookup that finds it.
enum Target {
    Address(At<Address>),
    Lookup(Location, Lookup),
}

pub(super) fn build(written: Vec<At<ServerText>>, findings: &mut Findings) -> Servers {
    let mut servers = Servers::default();
    for server in written {
        match target(&server, findings) {
            Some(Target::Address(address)) => servers.fixed.extend(fixed(server.value, &address, findings)),
            Some(Target::Lookup(at, lookup)) => {
                let place = servers.fixed.len();
                servers.found.extend(found(server.value, at, lookup, place, findings));
            }
            None => {}
        }
    }
    check_ids(&servers, findings);
    servers
}

fn target(written: &At<ServerText>, findings: &mut Findings) -> Option<Target> {
    let server = &written.value;
    match (&server.address, &server.name, &server.srv) {
        (Some(address), None, None) => Some(Target::Address(address.clone())),
        (None, Some(At { at, value, .. }), None) => Some(Target::Lookup(*at, Lookup::Host(value.name.clone(), value.port))),
        (None, None, Some(At { at, value, .. })) => Some(Target::Lookup(*at, Lookup::Srv(value.clone()))),
        (None, None, None) if written.state == State::Flawed => None,
        (None, None, None) => {
            findings.fault(written.at, "expected one of address, name and srv, found none");
            None
        }
        (Some(_), _, _) | (None, Some(_), Some(_)) => {
            findings.fault(written.at, "expected one of address, name and srv, found several");
            None
        }
    }
}

fn fixed(written: ServerText, address: &At<Address>, findings: &mut Findings) -> Option<FixedServer> {
    let tier = written.tier();
    let id = match written.id {
        Some(id) => id,
        None => At { at: address.at, value: id_of(&address.value.to_string(), address.at, findings)?, state: State::Sound },
    };
    let server = ServerSpec {
        id: id.value,
        route: written.route,
        address: address.value.clone(),
        host: None,
        weight: written.weight.unwrap_or(Weight::ONE),
        tier,
        max_conns: written.max_conns,
        admin: written.state,
    };
    Some(FixedServer { id_at: id.at, address_at: address.at, spec: Arc::new(server) })
}

fn found(
    written: ServerText,
    at: Location,
    lookup: Lookup,
    place: usize,
    findings: &mut Findings,
) -> Option<(Location, DiscoverySpec)> {
    let tier = written.tier();
    let (at, stem) = match written.id {
        Some(id) => (id.at, id.value),
        None => (at, id_of(&lookup.to_string(), at, findings)?),
    };
    let longest = lookup.max_stem_length();
    if stem.as_str().len() > longest {
        let message = format!("{} is too long: the address of each server is appended to this id", quoted(stem.as_str()));
        findings.fault_with_help(at, message, format!("use an id of at most {longest} characters"));
    }
    if let Some(route) = &written.route {
        let message = format!("all servers found by {lookup} share the route {}", quoted(route.as_str()));
        findings.warning(at, message);
    }
    let template =
        Template { route: written.route, weight: written.weight, tier, max_conns: written.max_conns, admin: written.state };
    Some((at, DiscoverySpec { stem, lookup, template, place }))
}

impl Servers {
    /// Whether there are servers, but none accepts new sessions.
    pub(super) fn accept_none(&self) -> bool {
        let accepts_new = |admin: Admin, weight: Option<Weight>| admin == Admin::Ready && weight.is_none_or(|w| w.get() > 0);
        let fixed = self.fixed.iter().map(|server| (server.spec.admin, Some(server.spec.weight)));
        let found = self.found.iter().map(|(_, entry)| (entry.template.admin, entry.template.weight));
        let mut all = fixed.chain(found).peekable();
        all.peek().is_some() && !all.any(|(admin, weight)| accepts_new(admin, weight))
    }
}

impl ServerText {
    fn tier(&self) -> Tier {
        if self.backup { Tier::Backup } else { Tier::Primary }
    }
}

/// The default id, made from the address or name.
fn id_of(text: &str, at: Location, findings: &mut Findings) -> Option<ServerId> {
    let id = ServerId::parse(text);
    if let Err(error) = &id {
        findings.fault_with_help(at, format!("{} cannot be an id: {error}", quoted(text)), "set id");
    }
    id.ok()
}

fn check_ids(servers: &Servers, findings: &mut Findings) {
    let mut first: HashMap<&ServerId, Location> = HashMap::new();
    let fixed = servers.fixed.iter().map(|server| (server.id_at, &server.spec.id));
    let mut ids: Vec<_> = fixed.chain(servers.found.iter().map(|(at, entry)| (*at, &entry.stem))).collect();
    ids.sort_by_key(|(at, _)| *at);
    for (at, id) in ids {
        if let Some(first) = first.get(id) {
            let message = format!("duplicate server id {}, first on line {}", quoted(id.as_str()), first.line());
            findings.fault_with_help(at, message, "give each server an id of its own: {id: …, address: …}");
        }
        first.entry(id).or_insert(at);
    }
}
