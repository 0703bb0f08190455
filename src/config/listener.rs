//! `listeners`: where clients connect.

use std::collections::HashMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde_json::json;

use super::names::ListenAddress;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{OneOrMore, Shortened, record};
use crate::config::schema::read::{At, Hint, Leaf, ListOf};
use crate::config::schema::scalar::{Int, OrNone};
use crate::config::schema::tree::Node;
use crate::config::schema::units::Positive;
use crate::config::values::{Admin, HalfClose, Listener};
use crate::http::forwarded::{Style, TrustedProxies};
use crate::http::h1::upgrade::{AllowedUpgrade, AllowedUpgrades};
use crate::upstream::spec::TcpKeepalive;

record! {
    "a listener" => struct ListenerText {
        /// IP address and port; 0.0.0.0 means all IPv4 addresses, [::] all addresses.
        address: At<ListenAddress>,
        /// Addresses and networks whose X-Forwarded-*, Forwarded and X-Real-IP headers are trusted; from all other
        /// peers they are removed.
        trusted_proxies: ListOf<IpNet> = "[]",
        /// Which headers tell the servers where a request came from.
        forwarded: Style = "x_forwarded",
        /// The time from a request's first byte to the end of its header block; then 408.
        header_timeout: Positive = "10s",
        /// How long an idle client connection is kept.
        keepalive_timeout: Positive = "60s",
        /// How long a client may pause while it sends a body; then 408.
        body_timeout: Positive = "60s",
        /// The least bytes per second of a request's body, on average and after the first ten seconds of waiting for it; below
        /// that 408. 0: any.
        min_body_rate: Int<u64, 0, 1_000_000_000> = "16",
        /// How long a client may read nothing of a response; then its connection is closed.
        write_timeout: Positive = "60s",
        /// What happens when a client closes its sending side before it has its response: abort treats it as gone, answer
        /// sends the response all the same.
        half_close: HalfClose = "abort",
        /// The protocols that HTTP/1 upgrades may change to, or any; Upgrade headers with others are removed. Never h2c.
        upgrades: OneOrMore<Protocol> = "websocket",
        /// TCP keep-alive of client connections, which ends connections of clients that vanished; or none.
        tcp_keepalive: OrNone<TcpKeepalive> = "{}",
    }
}

choice! {
    "forwarding headers" => Style {
        /// X-Forwarded-For, -Proto, -Host.
        x_forwarded => Self::XForwarded,
        /// Forwarded (RFC 7239).
        rfc7239 => Self::Rfc7239,
        /// Both kinds.
        both => Self::Both,
    }
}

choice! {
    "what happens on a half-closed connection" => HalfClose {
        /// The client is gone.
        abort => Self::Abort,
        /// It gets its response.
        answer => Self::Answer,
    }
}

/// The name of a protocol, without a version.
pub(crate) struct Protocol;

impl Leaf for Protocol {
    type Value = AllowedUpgrade;
    const EXPECTED: &'static str = "the name of a protocol such as websocket, or any";

    fn parse(text: &str) -> Result<AllowedUpgrade, Hint> {
        match &*text.to_ascii_lowercase() {
            "any" => Ok(AllowedUpgrade::Any),
            "h2c" => Err(Hint::by("it is never passed on: what follows it is not HTTP/1 and could not be read")),
            name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte)) => {
                Ok(AllowedUpgrade::Named(name.to_owned()))
            }
            _ => Err(Hint::unknown()),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "examples": ["websocket", "any"]})
    }
}

impl Shortened for ListenerText {
    type Short = ListenAddress;

    fn expand(short: &Node, _findings: &mut Findings) -> Option<Node> {
        Some(Node::map("address", short.clone()))
    }
}

/// How many listening sockets, including the admin service's, an upgrade can hand over (Pingora passes at most 32), and
/// how many bytes their addresses may take.
const MAX_SOCKETS: usize = 32;
const MAX_ADDRESS_BYTES: usize = 1_900;

/// Checks the listeners against each other.
pub(super) fn build(written: At<Vec<ListenerText>>, admin: &Admin, findings: &mut Findings) -> Vec<Listener> {
    let At { at, value: written, .. } = written;
    let listeners = written.iter().map(|listener| listener.address.value.0);
    let all: Vec<SocketAddr> = listeners.chain(admin.address).collect();
    if all.len() > MAX_SOCKETS {
        let beside = if admin.address.is_some() { " beside the admin address" } else { "" };
        let max = MAX_SOCKETS - (all.len() - written.len());
        let message = format!("expected at most {max} listeners{beside}, found {}", written.len());
        findings.fault_with_help(at, message, "an upgrade cannot hand over more to the new process");
    }
    let joined: usize = all.iter().map(|address| address.to_string().len() + 1).sum();
    if joined > MAX_ADDRESS_BYTES {
        let message = format!("expected listener addresses of at most {MAX_ADDRESS_BYTES} bytes in all, found {joined}");
        findings.fault_with_help(at, message, "an upgrade cannot hand over more to the new process");
    }
    let mut taken: HashMap<SocketAddr, Location> = HashMap::new();
    for ListenerText { address: At { at, value: ListenAddress(address), .. }, .. } in &written {
        if let Some(first) = taken.get(address) {
            findings.fault(*at, format!("duplicate listener {address}, first on line {}", first.line()));
        } else if admin.address == Some(*address) {
            let help = "use another port here, or set admin: {address: …}";
            findings.fault_with_help(*at, format!("{address} is also the admin address"), help);
        }
        taken.entry(*address).or_insert(*at);
    }
    written.into_iter().map(Listener::from).collect()
}

impl From<ListenerText> for Listener {
    fn from(written: ListenerText) -> Self {
        Self {
            address: written.address.value.0,
            trusted_proxies: TrustedProxies::new(written.trusted_proxies),
            forwarded: written.forwarded,
            header_timeout: written.header_timeout,
            keepalive_timeout: written.keepalive_timeout,
            tcp_keepalive: written.tcp_keepalive,
            body_timeout: written.body_timeout,
            min_body_rate: written.min_body_rate,
            write_timeout: written.write_timeout,
            half_close: written.half_close,
            upgrades: AllowedUpgrades::new(written.upgrades),
        }
    }
}
