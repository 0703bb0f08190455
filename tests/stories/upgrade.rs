//! Process upgrades: the new process continues with what the old one knew about the servers.

use std::time::Duration;

use burdock::balancer::drain::DrainStage;
use burdock::balancer::handoff::BalancerHandoff;
use burdock::upstream::failover::Action;
use burdock::upstream::health::{Condition, Health, Outcome};
use burdock::upstream::health_state::ProbeOutcome;
use burdock::upstream::outlier::{Attempt, Ejection};
use burdock::upstream::retry::Failure;
use burdock::upstream::spec::Admin;

use crate::language::{Client, Lb, lb};

const PASSIVE: &str = "passive_health: {failures: 3, window: 10s, hold: 10s, max_hold: 60s}";
const CHECKED: &str = "health_check: tcp";

impl Lb {
    fn cannot_connect(&self, id: &str) -> Option<Ejection> {
        let at = self.servers().iter().position(|server| server == id).unwrap();
        self.with_balancer(|balancer, now| {
            balancer.upstreams()[0].upstream().attempted(at, Attempt::Failed(Failure::Connect), now.uptime)
        })
    }

    fn health_of(&self, id: &str) -> Health {
        self.at(id, |server, _| server.health())
    }
}

#[test]
fn an_upgrade_keeps_health_and_its_age() {
    let lb = lb(["a", "b", "c"]).settings(CHECKED).up("a").down("b").after(30).upgraded();
    assert_eq!((lb.health_of("a"), lb.health_of("b"), lb.health_of("c")), (Health::Up, Health::Down, Health::Up));
    assert_eq!(lb.at("b", |server, now| server.unchanged_for(now)), Duration::from_secs(30));
}

#[test]
fn an_upgrade_keeps_unchecked_servers_unchecked() {
    let lb = lb(["a"]).settings(CHECKED).health("a", Health::Unchecked).upgraded();
    assert_eq!(lb.health_of("a"), Health::Unchecked);
}

#[test]
fn an_upgrade_without_checks_uses_every_server() {
    let before = lb(["a", "b"]).settings(CHECKED).up("a").down("b");
    let handoff = before.with_balancer(|balancer, _| balancer.handoff());
    let unchecked = lb(["a", "b"]);
    unchecked.with_balancer(|balancer, _| balancer.inherit(&handoff));
    assert_eq!((unchecked.health_of("a"), unchecked.health_of("b")), (Health::Up, Health::Up));
}

#[test]
fn an_upgrade_keeps_ejections_and_their_backoff() {
    let lb = lb(["a", "b"]).settings(PASSIVE);
    let ejection = (0..3).find_map(|_| lb.cannot_connect("a"));
    assert_eq!(ejection.map(|ejection| ejection.time), Some(Duration::from_secs(10)));
    let lb = lb.after(4).upgraded();
    assert_eq!(lb.at("a", |server, _| server.health_state().condition()), Condition::Ejected);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
    let left = lb.at("a", |server, now| server.health_state().ejected_until().map(|until| until.since(now.uptime)));
    assert_eq!(left, Some(Duration::from_secs(6)));
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
    assert_eq!(lb.probed("a", Outcome::Passed), ProbeOutcome::Recovered(Condition::Up));
    assert_eq!(lb.at("a", |server, _| server.health_state().ejected_until()), None);
}

#[test]
fn an_upgrade_keeps_the_failure_count() {
    let lb = lb(["a", "b"]).settings(PASSIVE);
    assert_eq!((lb.cannot_connect("a"), lb.cannot_connect("a")), (None, None));
    assert!(lb.upgraded().cannot_connect("a").is_some());
}

#[test]
fn an_upgrade_continues_a_slow_start() {
    let slow = "slow_start: 100s\n    health_check: tcp";
    let lb = lb(["a", "b"]).settings(slow).up("a").up("b").down("b").up("b").after(50).upgraded();
    let got = lb.new_clients(300).iter().filter(|server| *server == "b").count();
    assert!((99..=101).contains(&got), "{got}");
}

#[test]
fn an_upgrade_keeps_the_quiet_time_of_a_drain() {
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.lifetime.idle = Some(600));
    lb.client().visits(1).was_served_by(["a"]);
    let lb = lb.drain("a").after(400).upgraded();
    let draining = lb.draining("a");
    assert_eq!(draining.stage, DrainStage::Draining);
    assert!((399..=400).contains(&draining.quiet.as_secs()), "{draining:?}");
    assert_eq!(lb.at("a", |server, now| server.admin_unchanged_for(now)), Duration::from_secs(400));
    assert_eq!(lb.after(270).draining("a").stage, DrainStage::Complete);
}

/// A client whose server is removed; its session may take a detour for a minute.
fn lost_for_a_minute() -> (Lb, Client) {
    let lb = lb(["a", "b", "c"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let for_a_minute = Action::Temporary(Some(Duration::from_secs(60)));
    (lb.failover(|failover| failover.unknown = for_a_minute).without("a"), client)
}

#[test]
fn an_upgrade_does_not_extend_the_detour_limit() {
    let (lb, mut client) = lost_for_a_minute();
    let lb = lb.after(30).upgraded();
    client.visits(1).because(["unknown_server"]).settled(["none"]);
    let _lb = lb.after(30);
    client.visits(2).because(["unknown_server", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn a_handoff_ignores_the_order_of_servers() {
    let (lb, mut client) = lost_for_a_minute();
    let lb = lb.after(30).with(|shop| shop.upstream.servers.reverse()).after(15);
    let handoff = lb.with_balancer(|balancer, _| balancer.handoff());
    let lb = lb.with(|shop| shop.upstream.servers.reverse()).after(15);
    lb.with_balancer(|balancer, _| balancer.inherit(&handoff));
    client.visits(1).because(["unknown_server"]).settled(["rewritten"]);
}

#[test]
fn a_handoff_to_other_servers_restarts_the_detour_limit() {
    let (lb, mut client) = lost_for_a_minute();
    let lb = lb.after(30);
    let handoff = lb.with_balancer(|balancer, _| balancer.handoff());
    let lb = lb.without("c").after(40);
    lb.with_balancer(|balancer, _| balancer.inherit(&handoff));
    client.visits(1).because(["unknown_server"]).settled(["none"]);
}

#[test]
fn a_handoff_carries_no_health_across_a_new_address_or_maintenance() {
    let before = lb(["a", "b"]).settings(CHECKED).up("a").down("b");
    let handoff = before.with_balancer(|balancer, _| balancer.handoff());
    let after = lb(["a", "b"]).settings(CHECKED).health("b", Health::Unchecked).address("b", "10.9.9.9:80");
    after.with_balancer(|balancer, _| balancer.inherit(&handoff));
    assert_eq!(after.health_of("b"), Health::Unchecked);
    let back = before.server("b", |server| server.admin = Admin::Maint);
    let handoff = back.with_balancer(|balancer, _| balancer.handoff());
    let after = lb(["a", "b"]).settings(CHECKED).health("b", Health::Unchecked);
    after.with_balancer(|balancer, _| balancer.inherit(&handoff));
    assert_eq!(after.health_of("b"), Health::Unchecked);
}

#[test]
fn a_handoff_skips_unknown_fields() {
    let lb = lb(["a"]).settings(CHECKED).down("a");
    let mut handoff = serde_json::to_value(lb.with_balancer(|balancer, _| balancer.handoff())).unwrap();
    handoff["shop"]["more"] = serde_json::json!("");
    let server = &mut handoff["shop"]["servers"]["a"];
    assert_eq!(server["vitals"]["belief"], "down");
    server["more"] = serde_json::json!({});
    server["vitals"]["more"] = serde_json::json!([1]);
    let handoff: BalancerHandoff = serde_json::from_value(handoff).unwrap();
    let next = lb.health("a", Health::Up);
    next.with_balancer(|balancer, _| balancer.inherit(&handoff));
    assert_eq!(next.health_of("a"), Health::Down);
}

/// Two processes that serve at the same time: what the first knows of its servers reaches the second.
fn tell(from: &Lb, to: &Lb) -> Vec<(String, Condition)> {
    let handoff = from.with_balancer(|balancer, _| balancer.handoff());
    let mut changed = Vec::new();
    to.with_balancer(|balancer, _| {
        balancer.adopt(&handoff, |_, server, condition| changed.push((server.id().as_str().to_owned(), condition)));
    });
    changed
}

fn condition_at(lb: &Lb, id: &str) -> Condition {
    lb.at(id, |server, _| server.health_state().condition())
}

#[test]
fn an_ejection_at_one_process_holds_at_the_other_until_it_is_over() {
    let [old, new] = [(); 2].map(|()| lb(["a", "b"]).settings(PASSIVE).after(5));
    let _ejection = (0..3).find_map(|_| old.cannot_connect("a")).unwrap();
    assert_eq!(tell(&old, &new), [("a".to_owned(), Condition::Ejected)]);
    assert_eq!(tell(&old, &new), [], "it is known already");
    let old = old.after(11);
    old.with_balancer(|balancer, now| {
        let upstream = balancer.upstreams()[0].upstream();
        let spec = upstream.spec().passive_health.clone().unwrap();
        upstream.servers()[0].health_state().probed(Outcome::Passed, &spec, now.uptime);
    });
    assert_eq!(tell(&old, &new), [("a".to_owned(), Condition::Up)]);
}

#[test]
fn the_later_change_of_health_counts_at_both_processes() {
    let [old, new] = [(); 2].map(|()| lb(["a", "b"]).settings(CHECKED).up("a").up("b"));
    let (old, new) = (old.after(1).down("a"), new.after(2).down("a").after(1).up("a"));
    assert_eq!(tell(&old, &new), []);
    assert_eq!(condition_at(&new, "a"), Condition::Up);
    assert_eq!(tell(&new, &old), [("a".to_owned(), Condition::Up)]);
}

#[test]
fn a_request_at_one_process_delays_the_end_of_a_drain_at_the_other() {
    let (old, new) = (lb(["a", "b"]), lb(["a", "b"]));
    let mut client = old.client();
    client.visits(1).was_served_by(["a"]);
    let (old, new) = (old.after(100), new.after(100));
    client.visits(1).was_served_by(["a"]);
    tell(&old, &new);
    let quiet = |lb: &Lb| lb.at("a", |server, now| server.quiet_for(now));
    assert_eq!(quiet(&new), quiet(&old));
}
