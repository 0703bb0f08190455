//! `servers` of an upstream.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::choice::choice;
use super::errors::{Findings, Position};
use super::leaf::{Bool, Int};
use super::read::{At, State};
use super::record::{Shortened, record};
use super::tree::{Node, quoted};
use crate::upstream::ServerId;
use crate::upstream::spec::{Address, Admin, ServerSpec, Tier, Weight};

record! {
    "a server" => struct ServerText {
        /// What it is called in tokens, logs and metrics; its address as written, unless given. It must stay the same for as
        /// long as the server holds the same sessions.
        id: Option<At<ServerId>>,
        /// Its name in plain tokens and in routes (nginx's route, HAProxy's server cookie, Tomcat's jvmRoute); its id, unless
        /// given. Servers may share one: then any of them serves such a session.
        route: Option<ServerId>,
        /// IP address and port, or unix:/path.
        address: At<Address>,
        /// Its share of new sessions relative to its neighbours; with 0 it keeps its sessions and gets no new ones.
        weight: Weight = "1",
        /// Requests that it may have in flight from this balancer.
        max_conns: Option<Int<NonZeroU32, 1, 4_294_967_295>>,
        /// What is wanted of it at start-up.
        state: Admin = "ready",
        /// Whether it is used only when no other server may take new sessions.
        backup: Bool = "false",
    }
}

choice! {
    "a server's state" => Admin {
        /// It serves.
        ready => Self::Ready,
        /// It keeps its sessions and gets no new ones.
        drain => Self::DRAIN,
        /// It gets nothing and is not checked.
        maint => Self::Maint,
    }
}

impl Shortened for ServerText {
    type Short = Address;

    fn expand(short: &Node) -> Node {
        Node::map("address", short.clone())
    }
}

/// Servers with different ids, and where those were written.
pub(super) fn build(written: Vec<ServerText>, findings: &mut Findings) -> Vec<(Position, Arc<ServerSpec>)> {
    let servers: Vec<_> = written.into_iter().filter_map(|written| server(written, findings)).collect();
    check_ids(&servers, findings);
    servers
}

fn server(written: ServerText, findings: &mut Findings) -> Option<(Position, Arc<ServerSpec>)> {
    let address = written.address;
    let id = match written.id {
        Some(id) => id,
        None => At { at: address.at, value: id_of(&address, findings)?, state: State::Sound },
    };
    let tier = if written.backup { Tier::Backup } else { Tier::Primary };
    let At { at, value: id, .. } = id;
    let server = ServerSpec {
        id,
        route: written.route,
        address: address.value,
        weight: written.weight,
        tier,
        max_conns: written.max_conns,
        admin: written.state,
    };
    Some((at, Arc::new(server)))
}

/// An id made from the address, for a server that is given none.
fn id_of(address: &At<Address>, findings: &mut Findings) -> Option<ServerId> {
    let text = address.value.to_string();
    let id = ServerId::parse(&text);
    if let Err(error) = &id {
        findings.fault_with_help(address.at, format!("{} cannot be an id: {error}", quoted(&text)), "give the server an id");
    }
    id.ok()
}

fn check_ids(servers: &[(Position, Arc<ServerSpec>)], findings: &mut Findings) {
    let mut first: HashMap<&ServerId, Position> = HashMap::new();
    for (at, server) in servers {
        if let Some(first) = first.get(&server.id) {
            let message =
                format!("two servers have the id {}, the first is on line {}", quoted(server.id.as_str()), first.line);
            findings.fault(*at, message);
        }
        first.entry(&server.id).or_insert(*at);
    }
}
