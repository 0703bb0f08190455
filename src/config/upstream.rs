//! `upstreams`: groups of servers, without the settings for sticky sessions.

use super::balance::BalanceText;
use super::server::{self, ServerText};
use super::sticky::entries::{AffinityText, Entries, Written};
use crate::config::failover::RetryText;
use crate::config::health_check::HealthCheckText;
use crate::config::passive_health::PassiveText;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{OrShort, record};
use crate::config::schema::read::{At, SomeOf};
use crate::config::schema::scalar::{Int, OrNone};
use crate::config::schema::units::{Positive, Size};
use crate::ids::UpstreamName;
use crate::source::Source;
use crate::upstream::failover::Failover;
use crate::upstream::percent::Percent;
use crate::upstream::spec::{
    ConnectionSharing, Limits, MAX_SERVERS, OnMarkedDown, QueueSpec, Removal, TcpKeepalive, Timeouts, UpstreamSpec,
};

record! {
    "an upstream" => struct UpstreamText {
        /// Its servers. The default id of a server with an address is that address. A server with a name stands for all
        /// servers found by that name.
        servers: SomeOf<At<OrShort<ServerText>>>,
        /// How the server for a new session is chosen.
        balance: BalanceText = "round_robin",
        /// The methods that tie sessions to servers, in the order in which they are tried; `cookie` is short for
        /// [{cookie: {}}]. Empty: load balancing without sticky sessions.
        sticky: Entries = "[]",
        /// The scope in which tokens are valid; by default the upstream's name. Set it to rename an upstream, or to
        /// share sessions between upstreams.
        sticky_scope: Option<UpstreamName>,
        /// What servers are told about their sessions, and what they may request.
        affinity: AffinityText = "{}",
        /// What happens to a tied session if its server cannot serve it.
        failover: Failover = "{}",
        /// Active health checks. Without them servers count as up, and a request that cannot connect to one goes to
        /// another.
        health_check: Option<At<OrShort<HealthCheckText>>>,
        /// Passive health checks: a server is ejected for a while if requests to it fail. By default only failed
        /// connections count. None: failed requests do not affect a server's health.
        passive_health: OrNone<PassiveText> =
            "{failures: 3, window: 1m, when: [connect], hold: 1s, max_hold: 10s}",
        /// If a smaller share of the ready servers is up, new sessions go to all ready servers regardless of health.
        panic_threshold: OrNone<Percent> = "none",
        /// The time over which a server that came up, or was added, ramps up to its full weight for new sessions.
        slow_start: OrNone<Positive> = "none",
        /// What happens to client connections with a request or an upgraded stream at a server that goes down.
        on_marked_down: OnMarkedDown = "keep",
        /// Which requests share a connection to a server.
        connections: ConnectionSharing = "shared",
        /// Timeouts for each step of a request to a server.
        timeouts: Timeouts = "{}",
        /// TCP keep-alive of connections to servers, which ends connections to servers that vanished; or none.
        tcp_keepalive: OrNone<TcpKeepalive> = "{}",
        /// When a failed request is retried.
        retry: RetryText = "{}",
        /// The queue of a server that is full.
        queue: QueueSpec = "{}",
        /// The size limits of requests.
        limits: Limits = "{}",
        /// What happens to a server and its sessions when it is removed from the configuration.
        removed_servers: Removal = "drain",
    }
}

choice! {
    "an action for removed servers" => Removal {
        /// It drains: it keeps its sessions until they are gone and gets no new ones.
        drain => Self::Drain,
        /// The same, but at most for this time.
        drain(Positive) => Self::DrainFor,
        /// It is removed at once, and its sessions have an unknown server.
        forget => Self::Forget,
    }
}

choice! {
    "an action for client connections" => OnMarkedDown {
        /// They are kept, as long as the server keeps them.
        keep => Self::Keep,
        /// They are closed, so that clients reconnect and are sent to other servers.
        close => Self::Close,
    }
}

choice! {
    "connection sharing" => ConnectionSharing {
        /// Those of all clients, except that a client connection with an NTLM or Negotiate login has its own
        /// connections.
        shared => Self::Shared,
        /// Those of one client connection.
        private => Self::Private,
    }
}

record! {
    "timeouts" => Timeouts {
        /// The timeout for connecting.
        connect: Positive = "2s",
        /// The longest time without data while waiting for a response or reading it.
        read: Positive = "60s",
        /// The longest time that one write may block.
        write: Positive = "60s",
        /// How long an idle connection to a server is kept. It should be less than the server's own keep-alive.
        keepalive: Positive = "4s",
        /// The longest time without data on an upgraded (WebSocket) stream.
        upgraded: Positive = "1h",
    }
}

record! {
    "queue" => QueueSpec {
        /// How many requests may wait at one server.
        length: Int<u32, 0, 65_536> = "256",
        /// How long a new session waits if all servers that would accept it are full, or none.
        new_sessions: OrNone<Positive> = "none",
    }
}

record! {
    "limits" => Limits {
        /// Bytes of a request's header block; larger ones get 431.
        header_bytes: Size<usize, 1_024, 1_048_576> = "32KiB",
        /// Bytes of a request's body, or none; larger ones get 413.
        body: OrNone<Size<u64, 1, 9_223_372_036_854_775_807>> = "none",
    }
}

/// A checked upstream, with the positions of its servers, of their addresses and of its entries with a name.
pub(super) struct Built {
    pub(super) spec: UpstreamSpec,
    pub(super) servers_at: Vec<Location>,
    pub(super) addresses_at: Vec<Location>,
    pub(super) found_at: Vec<Location>,
    pub(super) hash_key: Vec<Source>,
    pub(super) sticky: Written,
}

pub(super) fn build(name: &At<UpstreamName>, written: UpstreamText, findings: &mut Findings) -> Built {
    let servers = server::build(written.servers, findings);
    let found = servers.fixed.len();
    if found > MAX_SERVERS {
        findings.fault(name.at, format!("expected at most {MAX_SERVERS} servers, found {found}"));
    }
    if servers.accept_none() {
        let message = "no server accepts new sessions: each has weight 0, or the state drain or maint";
        findings.warning(name.at, message);
    }
    let servers_at = servers.fixed.iter().map(|server| server.id_at).collect();
    let addresses_at = servers.fixed.iter().map(|server| server.address_at).collect();
    let (found_at, discovery) = servers.found.into_iter().unzip();
    let spec = UpstreamSpec {
        name: name.value.clone(),
        servers: servers.fixed.into_iter().map(|server| server.spec).collect(),
        discovery,
        balance: written.balance.balance,
        failover: written.failover,
        health_check: written.health_check.and_then(|check| HealthCheckText::build(check, findings)),
        passive_health: written.passive_health.map(|passive| passive.build(findings)),
        panic_threshold: written.panic_threshold,
        slow_start: written.slow_start,
        on_marked_down: written.on_marked_down,
        connections: written.connections,
        timeouts: written.timeouts,
        tcp_keepalive: written.tcp_keepalive,
        retry: written.retry.into(),
        limits: written.limits,
        removal: written.removed_servers,
        queue: written.queue,
    };
    let sticky = Written { scope: written.sticky_scope, entries: written.sticky, affinity: written.affinity };
    Built { spec, servers_at, addresses_at, found_at, hash_key: written.balance.key, sticky }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::read::Read;
    use crate::config::schema::tree::Node;
    use crate::upstream::outlier::OutlierSpec;
    use crate::upstream::retry::Retry;

    fn defaults<R: Read>() -> R::Value {
        R::read(&Node::literal("{}", Location::default()), &mut Findings::default()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_domain_types() {
        assert_eq!(defaults::<Timeouts>(), Timeouts::default());
        assert_eq!(defaults::<Failover>(), Failover::default());
        assert_eq!(defaults::<Limits>(), Limits::default());
        assert_eq!(
            Removal::read(&Node::literal("drain", Location::default()), &mut Findings::default()),
            Some(Removal::default())
        );
        assert_eq!(defaults::<PassiveText>().build(&mut Findings::default()), OutlierSpec::default());
        assert_eq!(defaults::<QueueSpec>(), QueueSpec::default());
        assert_eq!(Retry::from(defaults::<RetryText>()), Retry::default());
    }
}
