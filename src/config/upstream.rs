//! Groups of servers: `upstreams` without what ties sessions to them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use ::http::StatusCode;

use super::check::HealthCheckText;
use super::choice::choice;
use super::errors::{Findings, Position};
use super::leaf::{Bool, Int, OrNone, Positive, Size};
use super::read::{At, Leaf, ListOf, Mend, SomeOf};
use super::record::{OrShort, Shortened, record};
use super::sticky::{Entries, EntryText};
use super::tree::{Node, quoted};
use crate::sticky::identity::Source;
use crate::upstream::balance::{Balance, LoadFactor};
use crate::upstream::failover::{Action, Failover};
use crate::upstream::retry::{Again, Retry};
use crate::upstream::spec::{Address, Admin, Limits, ServerSpec, Tier, Timeouts, UpstreamSpec, Weight};
use crate::upstream::{ServerId, UpstreamName};

record! {
    "an upstream" => struct UpstreamText {
        /// Its servers. A server written as an address has that text for its id.
        servers: SomeOf<OrShort<ServerText>>,
        /// Where a session starts that nothing ties.
        balance: BalanceText = "round_robin",
        /// What ties sessions to servers, in the order in which it is asked; `cookie` is short for [{cookie: {}}]. Nothing:
        /// plain load balancing.
        sticky: Entries = "[]",
        /// Where tokens are good: the upstream's name, unless this names something that outlives a renaming or is shared by
        /// several upstreams.
        sticky_scope: Option<UpstreamName>,
        /// What happens to a tied session whose server cannot serve it.
        failover: Failover = "{}",
        /// How servers are found to be up. Without it they count as up until a connection to them fails.
        health_check: Option<OrShort<HealthCheckText>>,
        /// How long each step of talking to a server may take.
        timeouts: Timeouts = "{}",
        /// When a request that failed is sent again.
        retry: RetryText = "{}",
        /// What a request may measure.
        limits: Limits = "{}",
    }
}

record! {
    "a server" => struct ServerText {
        /// What it is called in tokens, logs and metrics; its address as written, unless given. It must stay the same for as
        /// long as the server holds the same sessions.
        id: Option<At<ServerId>>,
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
        drain => Self::Drain,
        /// It gets nothing and is not checked.
        maint => Self::Maint,
    }
}

/// A way to balance, with what it hashes.
#[derive(Debug)]
pub(super) struct BalanceText {
    balance: Balance,
    key: Option<Source>,
}

choice! {
    "a way to balance" => BalanceText {
        /// In turn by weight, evenly interleaved.
        round_robin => Self { balance: Balance::RoundRobin, key: None },
        /// To the server with the fewest requests in flight for its weight.
        least_conn => Self { balance: Balance::LeastConn, key: None },
        /// To the less busy of two drawn at random.
        random_two => Self { balance: Balance::RandomTwo, key: None },
        /// To the first in the order written that may take it.
        first => Self { balance: Balance::First, key: None },
        /// By consistent hash of something that the request carries.
        hash(HashText) => |hash: HashText| Self { balance: Balance::Hash(hash.load_factor), key: Some(hash.key) },
    }
}

record! {
    "hash" => struct HashText {
        /// What is hashed: client_ip, cookie:NAME, header:NAME or query:NAME.
        key: Source,
        /// How far above its fair share of what is in flight a server may be loaded.
        load_factor: Option<LoadFactor>,
    }
}

record! {
    "failover" => Failover {
        /// Its check says so, or a connection to it failed.
        down: Action = "permanent",
        /// Its state is maint.
        maint: Action = "permanent",
        /// It has max_conns requests in flight.
        full: Action = "temporary",
        /// Its drain deadline has passed.
        drained: Action = "permanent",
        /// There is no such server any more.
        unknown: Action = "permanent",
    }
}

choice! {
    "a failover action" => Action {
        /// The session moves to the server that answers.
        permanent => Self::Permanent,
        /// Another server answers, and the session returns when its own can serve it.
        temporary => Self::Temporary(None),
        /// As the word, but the session moves once its server has been unable to serve it for this long.
        temporary(Positive) => |limit| Self::Temporary(Some(limit)),
        /// The request is refused with this status.
        refuse(Refusal) => Self::Refuse,
    }
}

/// A status of 400 to 599.
struct Refusal;

impl Leaf for Refusal {
    type Value = StatusCode;
    const EXPECTED: &'static str = "a status from 400 to 599";

    fn parse(text: &str) -> Result<StatusCode, Mend> {
        Ok(StatusCode::from_u16(Int::<u16, 400, 599>::parse(text).map_err(|_| Mend::unknown())?)?)
    }

    fn schema() -> serde_json::Value {
        <Int<u16, 400, 599> as Leaf>::schema()
    }
}

record! {
    "timeouts" => Timeouts {
        /// Until a connection stands.
        connect: Positive = "2s",
        /// Longest silence while a response is awaited or read.
        read: Positive = "60s",
        /// Longest time that one write may be stuck.
        write: Positive = "60s",
        /// How long an idle connection to a server is kept: less than the server's own keep-alive.
        keepalive: Positive = "4s",
        /// Longest silence on an upgraded (WebSocket) stream.
        upgraded: Positive = "1h",
    }
}

record! {
    "retry" => struct RetryText {
        /// Tries in all, the first included.
        tries: Int<u8, 1, 16> = "3",
        /// Tries at one server before it is given up for this request.
        same_server: Int<u8, 1, 16> = "1",
        /// Failures after which a request is sent again; a POST only after a connection that did not come about.
        on: ListOf<FailureText> = "[connect, closed]",
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureText {
    Connect,
    Closed,
}

choice! {
    "a failure" => FailureText {
        /// No connection came about.
        connect => Self::Connect,
        /// The connection ended before a response began.
        closed => Self::Closed,
    }
}

record! {
    "limits" => Limits {
        /// Octets of a request's header block; above it 431.
        header_bytes: Size<usize, 1_024, 1_048_576> = "32KiB",
        /// Octets of a request's body, or none; above it 413.
        body: OrNone<Size<u64, 1, 9_223_372_036_854_775_807>> = "none",
    }
}

impl Shortened for ServerText {
    type Short = Address;

    fn expand(short: &Node) -> Node {
        Node::map("address", short.clone())
    }
}

/// An upstream whose parts fit each other, with the places of its servers.
pub(super) struct Built {
    pub(super) spec: UpstreamSpec,
    pub(super) servers_at: Vec<Position>,
    pub(super) hash_key: Option<Source>,
    pub(super) entries: Vec<At<EntryText>>,
    pub(super) scope: Option<UpstreamName>,
}

pub(super) fn build(name: &At<UpstreamName>, written: UpstreamText, findings: &mut Findings) -> Built {
    let servers: Vec<(Position, Arc<ServerSpec>)> =
        written.servers.into_iter().filter_map(|server| self::server(server, findings)).collect();
    check_ids(&servers, findings);
    let takes_new = |server: &ServerSpec| server.admin == Admin::Ready && server.weight.get() > 0;
    if !servers.is_empty() && !servers.iter().any(|(_, server)| takes_new(server)) {
        let message = format!("no server of upstream {} takes new sessions: each has weight 0, drain or maint", name.value);
        findings.warning(name.at, message);
    }
    let (servers_at, servers) = servers.into_iter().unzip();
    let spec = UpstreamSpec {
        name: name.value.clone(),
        servers,
        balance: written.balance.balance,
        failover: written.failover,
        health_check: written.health_check.and_then(|check| check.build(findings)),
        timeouts: written.timeouts,
        retry: written.retry.into(),
        limits: written.limits,
    };
    Built { spec, servers_at, hash_key: written.balance.key, entries: written.sticky, scope: written.sticky_scope }
}

fn server(written: ServerText, findings: &mut Findings) -> Option<(Position, Arc<ServerSpec>)> {
    let address = written.address;
    let id = match written.id {
        Some(id) => id,
        None => At { at: address.at, value: id_of(&address, findings)? },
    };
    let tier = if written.backup { Tier::Backup } else { Tier::Primary };
    let At { at, value: id } = id;
    let server = ServerSpec {
        id,
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
            let message = format!("two servers have the id {}, the first is on line {}", quoted(server.id.as_str()), first.line);
            findings.fault(*at, message);
        }
        first.entry(&server.id).or_insert(*at);
    }
}

impl From<RetryText> for Retry {
    fn from(written: RetryText) -> Self {
        let again = |failure| if written.on.contains(&failure) { Again::Yes } else { Again::No };
        Self {
            tries: written.tries,
            same_server: written.same_server,
            on_connect: again(FailureText::Connect),
            on_closed: again(FailureText::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::Read;

    fn unwritten<R: Read>() -> R::Value {
        R::read(&Node::literal("{}", Position::default()), &mut Findings::default()).unwrap()
    }

    #[test]
    fn what_is_not_written_is_what_the_domain_takes_for_granted() {
        assert_eq!(unwritten::<Timeouts>(), Timeouts::default());
        assert_eq!(unwritten::<Failover>(), Failover::default());
        assert_eq!(unwritten::<Limits>(), Limits::default());
        assert_eq!(Retry::from(unwritten::<RetryText>()), Retry::default());
    }
}
