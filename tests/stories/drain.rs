//! Servers that leave: drains with a deadline, servers removed from the configuration, and when their last session is gone.

use std::time::Duration;

use burdock::balancer::drain::DrainStage;
use burdock::time::UnixSeconds;
use burdock::upstream::failover::Action;
use burdock::upstream::spec::{Admin, Removal, Then};

use crate::language::{Client, Lb, lb};

/// Two servers and a client tied to the first; sessions expire after ten idle minutes.
fn with_a_client_of_a() -> (Lb, Client) {
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.lifetime.idle = Some(600));
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    (lb, client)
}

fn drain_until(lb: Lb, seconds: u32) -> Lb {
    drain_and(lb, seconds, Then::AsConfigured)
}

fn drain_and(lb: Lb, seconds: u32, then: Then) -> Lb {
    let until = Some(UnixSeconds(1_800_000_000 + seconds));
    lb.server("a", |server| server.admin = Admin::Drain { until, then })
}

#[test]
fn then_refuses_or_moves_the_sessions_left_after_a_drain() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = drain_and(lb, 60, Then::Refuse).after(60);
    client.visits(1).because(["refused"]);
    let lb = lb.failover(|failover| failover.drained = Action::Refuse(http::StatusCode::GONE));
    client.visits(1).because(["refused"]);
    drain_and(lb, 60, Then::Move);
    client.visits(2).was_served_by(["b", "b"]).because(["drained", "hit"]);
}

#[test]
fn a_drain_moves_its_remaining_sessions_at_its_deadline() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = drain_until(lb, 60);
    let lb = lb.after(59);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    lb.after(1);
    client.visits(2).was_served_by(["b", "b"]).because(["drained", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn a_cancelled_drain_keeps_its_sessions() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = drain_until(lb, 60).after(30).server("a", |server| server.admin = Admin::Ready).after(60);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    assert_eq!(lb.new_clients(4), ["b", "a", "b", "a"]);
}

#[test]
fn a_drain_completes_after_its_idle_time_and_a_tenth_without_requests() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.drain("a").after(300);
    client.visits(1).was_served_by(["a"]);
    assert_eq!(lb.draining("a").needed, Duration::from_secs(660));
    let lb = lb.after(659);
    assert_eq!(lb.draining("a").stage, DrainStage::Draining);
    let lb = lb.after(2);
    assert_eq!(lb.draining("a").stage, DrainStage::Complete);
    client.visits(1).was_served_by(["b"]).because(["expired_idle"]);
}

#[test]
fn a_request_during_a_drain_prolongs_it() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.drain("a").after(600);
    client.visits(1).was_served_by(["a"]);
    let lb = lb.after(600);
    assert_eq!(lb.draining("a").stage, DrainStage::Draining);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
}

#[test]
fn a_ready_server_is_not_draining() {
    let (lb, _) = with_a_client_of_a();
    assert_eq!(lb.after(10_000).draining("a").stage, DrainStage::Serving);
}

#[test]
fn a_drain_without_an_idle_time_needs_33_quiet_minutes() {
    let lb = lb(["a", "b"]).drain("a");
    assert_eq!(lb.draining("a").needed, Duration::from_secs(33 * 60));
}

#[test]
fn a_server_in_maint_with_nothing_in_flight_is_complete() {
    let (lb, _) = with_a_client_of_a();
    assert_eq!(lb.maint("a").draining("a").stage, DrainStage::Complete);
}

#[test]
fn a_removed_server_keeps_its_sessions_and_gets_no_new_ones() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.removes("a", Removal::Drain);
    assert_eq!(lb.servers(), ["b", "(a)"]);
    client.visits(2).was_served_by(["a", "a"]).because(["hit", "hit"]);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn a_removed_server_disappears_with_its_last_session() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.removes("a", Removal::Drain).after(300);
    client.visits(1).was_served_by(["a"]);
    let lb = lb.after(400).reload();
    assert_eq!(lb.servers(), ["b", "(a)"]);
    let lb = lb.after(300).reload();
    assert_eq!(lb.servers(), ["b"]);
    client.visits(1).because(["expired_idle"]).was_served_by(["b"]);
}

#[test]
fn drain_for_bounds_how_long_a_removed_server_serves() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.removes("a", Removal::DrainFor(Duration::from_secs(120))).after(119);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let lb = lb.after(1);
    client.visits(2).was_served_by(["b", "b"]).because(["drained", "hit"]);
    assert_eq!(lb.reload().servers(), ["b"]);
}

#[test]
fn removal_forget_drops_a_server_at_once() {
    let (lb, mut client) = with_a_client_of_a();
    let lb = lb.removes("a", Removal::Forget);
    assert_eq!(lb.servers(), ["b"]);
    client.visits(1).because(["unknown_server"]);
}

#[test]
fn a_removed_server_that_returns_has_its_sessions_and_gets_new_ones() {
    let (lb, mut client) = with_a_client_of_a();
    let mut before = None;
    let lb = lb.with(|shop| {
        before = Some(shop.upstream.servers[0].clone());
        shop.upstream.servers.remove(0);
    });
    assert_eq!(lb.servers(), ["b", "(a)"]);
    let lb = lb.with(|shop| shop.upstream.servers.insert(0, before.take().unwrap()));
    assert_eq!(lb.servers(), ["a", "b"]);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    assert_eq!(lb.new_clients(2), ["b", "a"]);
}

#[test]
fn a_removed_server_in_maint_does_not_drain() {
    let (lb, _) = with_a_client_of_a();
    assert_eq!(lb.maint("a").removes("a", Removal::Drain).servers(), ["b"]);
}
