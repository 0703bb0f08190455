//! Groups of servers: `upstreams` without what ties sessions to them.

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
use crate::source::Source;
use crate::upstream::UpstreamName;
use crate::upstream::failover::Failover;
use crate::upstream::percent::Percent;
use crate::upstream::spec::{
    ConnectionSharing, Limits, MAX_SERVERS, OnMarkedDown, QueueSpec, Removal, Timeouts, UpstreamSpec,
};

record! {
    "an upstream" => struct UpstreamText {
        /// Its servers. A server written as an address has that text for its id; one written as a name stands for as many as
        /// are found by it.
        servers: SomeOf<At<OrShort<ServerText>>>,
        /// Where a session starts that nothing ties.
        balance: BalanceText = "round_robin",
        /// What ties sessions to servers, in the order in which it is asked; `cookie` is short for [{cookie: {}}]. Nothing:
        /// plain load balancing.
        sticky: Entries = "[]",
        /// Where tokens are good: the upstream's name, unless this names something that outlives a renaming or is shared by
        /// several upstreams.
        sticky_scope: Option<UpstreamName>,
        /// What servers are told, and may say, of their sessions.
        affinity: AffinityText = "{}",
        /// What happens to a tied session whose server cannot serve it.
        failover: Failover = "{}",
        /// How servers are found to be up. Without it they count as up; a request that cannot connect to one goes
        /// to another.
        health_check: Option<At<OrShort<HealthCheckText>>>,
        /// When servers at which requests fail are ejected for a while. Without it what becomes of requests says nothing of
        /// a server's health.
        passive_health: Option<PassiveText>,
        /// The share of ready servers below which, when no more are up, new sessions are placed on all of them whatever
        /// their health.
        panic_threshold: OrNone<Percent> = "none",
        /// How long the share of new sessions of a server that has come up, or was added, grows to what its weight says.
        slow_start: OrNone<Positive> = "none",
        /// What becomes of client connections whose requests or upgraded streams are at a server that goes down.
        on_marked_down: OnMarkedDown = "keep",
        /// Whose requests share a connection to a server.
        connections: ConnectionSharing = "shared",
        /// How long each step of talking to a server may take.
        timeouts: Timeouts = "{}",
        /// When a request that failed is sent again.
        retry: RetryText = "{}",
        /// Who may wait at a server that is full.
        queue: QueueSpec = "{}",
        /// What a request may measure.
        limits: Limits = "{}",
        /// What becomes of a server that is no longer written here, and of its sessions.
        removed_servers: Removal = "drain",
    }
}

choice! {
    "what becomes of removed servers" => Removal {
        /// It keeps its sessions until they are gone and gets no new ones, as a server in drain.
        drain => Self::Drain,
        /// The same, for so long at most.
        drain(Positive) => Self::DrainFor,
        /// It is gone at once, and its sessions have an unknown server.
        forget => Self::Forget,
    }
}

choice! {
    "what is done when a server goes down" => OnMarkedDown {
        /// They go on, as far as the server lets them.
        keep => Self::Keep,
        /// They are closed, so that clients come again and are sent elsewhere.
        close => Self::Close,
    }
}

choice! {
    "whose requests share a connection" => ConnectionSharing {
        /// Everybody's, except that a client connection with an NTLM or Negotiate login has connections of its own.
        shared => Self::Shared,
        /// Those of one client connection.
        private => Self::Private,
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
    "queue" => QueueSpec {
        /// How many requests may wait at one server.
        length: Int<u32, 0, 65_536> = "256",
        /// How long a session that starts waits where every server that would take it is full, or none.
        new_sessions: OrNone<Positive> = "none",
    }
}

record! {
    "limits" => Limits {
        /// Bytes of a request's header block; above it 431.
        header_bytes: Size<usize, 1_024, 1_048_576> = "32KiB",
        /// Bytes of a request's body, or none; above it 413.
        body: OrNone<Size<u64, 1, 9_223_372_036_854_775_807>> = "none",
    }
}

/// An upstream whose parts fit each other, with the places of its servers and of the entries that are found by name.
pub(super) struct Built {
    pub(super) spec: UpstreamSpec,
    pub(super) servers_at: Vec<Location>,
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
    if servers.take_none() {
        let message = "no server accepts new sessions: each has weight 0, or the state drain or maint";
        findings.warning(name.at, message);
    }
    let (servers_at, fixed) = servers.fixed.into_iter().unzip();
    let (found_at, discovery) = servers.found.into_iter().unzip();
    let spec = UpstreamSpec {
        name: name.value.clone(),
        servers: fixed,
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
        retry: written.retry.into(),
        limits: written.limits,
        removal: written.removed_servers,
        queue: written.queue,
    };
    let sticky = Written { scope: written.sticky_scope, entries: written.sticky, affinity: written.affinity };
    Built { spec, servers_at, found_at, hash_key: written.balance.key, sticky }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::read::Read;
    use crate::config::schema::tree::Node;
    use crate::upstream::outlier::OutlierSpec;
    use crate::upstream::retry::Retry;

    fn unwritten<R: Read>() -> R::Value {
        R::read(&Node::literal("{}", Location::default()), &mut Findings::default()).unwrap()
    }

    #[test]
    fn what_is_not_written_is_what_the_domain_takes_for_granted() {
        assert_eq!(unwritten::<Timeouts>(), Timeouts::default());
        assert_eq!(unwritten::<Failover>(), Failover::default());
        assert_eq!(unwritten::<Limits>(), Limits::default());
        assert_eq!(
            Removal::read(&Node::literal("drain", Location::default()), &mut Findings::default()),
            Some(Removal::default())
        );
        assert_eq!(unwritten::<PassiveText>().build(&mut Findings::default()), OutlierSpec::default());
        assert_eq!(unwritten::<QueueSpec>(), QueueSpec::default());
        assert_eq!(Retry::from(unwritten::<RetryText>()), Retry::default());
    }
}
