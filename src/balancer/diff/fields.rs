//! The fields in which two descriptions of one object differ.

use std::fmt;

use jiff::Timestamp;

use crate::route::RouteSpec;
use crate::table::{BudgetSpec, TableSpec};
use crate::time::UnixSeconds;
use crate::upstream::discovery::DnsSpec;
use crate::upstream::spec::{Admin, ServerSpec, UpstreamSpec};

use super::difference::Field;
use super::sticky;
use crate::balancer::spec::StickyUpstreamSpec;

pub(crate) fn table(before: &(TableSpec, BudgetSpec), after: &(TableSpec, BudgetSpec)) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.with_values("capacity", &before.0.capacity, &after.0.capacity);
    fields.name_only("idle_timeout or max_life", &before.0.lifetime, &after.0.lifetime);
    fields.name_only("persist", &before.0.persist, &after.0.persist);
    fields.name_only("creations_per_minute", &before.1, &after.1);
    fields.0
}

pub(crate) fn route(before: &RouteSpec, after: &RouteSpec) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.with_values("upstream", &before.upstream.as_str(), &after.upstream.as_str());
    fields.name_only("match", &(&before.hosts, &before.prefix), &(&after.hosts, &after.prefix));
    fields.0
}

pub(crate) fn dns(before: &DnsSpec, after: &DnsSpec) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.name_only("servers", &before.servers, &after.servers);
    fields.name_only("min_ttl or max_ttl", &before.bounds, &after.bounds);
    fields.name_only("timeout", &before.timeout, &after.timeout);
    fields.name_only("family", &before.family, &after.family);
    fields.0
}

pub(crate) fn upstream(before: &StickyUpstreamSpec, after: &StickyUpstreamSpec) -> Vec<Field> {
    // Destructured so that no new field is forgotten here. Servers are compared one by one.
    let UpstreamSpec {
        name: _,
        servers: _,
        discovery,
        balance,
        failover,
        health_check,
        passive_health,
        panic_threshold,
        slow_start,
        on_marked_down,
        connections,
        timeouts,
        tcp_keepalive,
        retry,
        limits,
        queue,
        removal,
    } = &before.upstream;
    let new = &after.upstream;
    let mut fields = Fields::default();
    fields.name_only("servers found by name", discovery, &new.discovery);
    fields.name_only("balance", &(*balance, &before.hash_key), &(new.balance, &after.hash_key));
    fields.0.extend(sticky::entries(&before.sticky.entries, &after.sticky.entries));
    fields.with_values("sticky_scope", &before.sticky.scope.0, &after.sticky.scope.0);
    fields.name_only("affinity", &before.sticky.affinity, &after.sticky.affinity);
    fields.name_only("failover", failover, &new.failover);
    fields.name_only("health_check", health_check, &new.health_check);
    fields.name_only("passive_health", passive_health, &new.passive_health);
    fields.name_only("panic_threshold", panic_threshold, &new.panic_threshold);
    fields.name_only("slow_start", slow_start, &new.slow_start);
    fields.name_only("on_marked_down", on_marked_down, &new.on_marked_down);
    fields.name_only("connections", connections, &new.connections);
    fields.name_only("timeouts", timeouts, &new.timeouts);
    fields.name_only("tcp_keepalive", tcp_keepalive, &new.tcp_keepalive);
    fields.name_only("retry", retry, &new.retry);
    fields.name_only("limits", limits, &new.limits);
    fields.name_only("queue", queue, &new.queue);
    fields.name_only("removed_servers", removal, &new.removal);
    fields.0
}

/// The fields of a server that differ.
pub fn server(before: &ServerSpec, after: &ServerSpec) -> Vec<Field> {
    let mut fields = Fields::default();
    let max_conns = |server: &ServerSpec| server.max_conns.map_or_else(|| "none".to_owned(), |max| max.to_string());
    let route = |server: &ServerSpec| server.route.as_ref().unwrap_or(&server.id).as_str().to_owned();
    fields.with_values("state", &state(before.admin), &state(after.admin));
    fields.with_values("weight", &before.weight.get(), &after.weight.get());
    fields.with_values("max_conns", &max_conns(before), &max_conns(after));
    fields.with_values("address", &before.address, &after.address);
    fields.with_values("route", &route(before), &route(after));
    fields.name_only("backup", &before.tier, &after.tier);
    fields.0
}

fn state(admin: Admin) -> String {
    match admin {
        Admin::Drain { until: Some(until), .. } | Admin::Leaving { until: Some(until) } => {
            format!("{} until {}", admin.as_str(), date(until))
        }
        Admin::Ready | Admin::Maint | Admin::Drain { until: None, .. } | Admin::Leaving { until: None } => {
            admin.as_str().to_owned()
        }
    }
}

/// In RFC 3339.
fn date(moment: UnixSeconds) -> String {
    Timestamp::from_second(moment.0.into()).map_or_else(|_| moment.0.to_string(), |moment| moment.to_string())
}

#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn with_values<T: PartialEq + fmt::Display + ?Sized>(&mut self, name: &'static str, before: &T, after: &T) {
        if before != after {
            self.0.push(Field { name: name.into(), before: Some(before.to_string()), after: Some(after.to_string()) });
        }
    }

    fn name_only<T: PartialEq>(&mut self, name: &'static str, before: &T, after: &T) {
        if before != after {
            self.0.push(Field { name: name.into(), before: None, after: None });
        }
    }
}
