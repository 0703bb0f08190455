//! The health of servers when the configuration changes.

use burdock::upstream::health::{CheckSpec, Health, Outcome, Probe, Streak, Thresholds};
use std::time::Duration;

use crate::language::{Lb, lb};

fn check() -> CheckSpec {
    let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
    CheckSpec { probe: Probe::Tcp, port: None, interval, timeout, thresholds: Thresholds::default() }
}

impl Lb {
    fn checked(self) -> Self {
        self.with(|shop| shop.upstream.health_check = Some(check()))
    }

    fn unchecked(self) -> Self {
        self.with(|shop| shop.upstream.health_check = None)
    }

    /// Applies the result of a first check of this server.
    fn first_check(self, id: &str, outcome: Outcome) -> Self {
        self.at(id, |server, now| {
            server.health_state().checked(outcome, &mut Streak::default(), Thresholds::default(), now.uptime);
        });
        self
    }
}

#[test]
fn health_survives_changes_of_weight_state_and_neighbours() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Failed).first_check("b", Outcome::Passed);
    let lb = lb.after(60).weight("a", 9).drain("a").max_conns("a", 7).backup("b");
    lb.at("a", |server, now| assert_eq!(server.unchanged_for(now), Duration::from_secs(60)));
    assert_eq!(lb.new_clients(2), ["b", "b"]);
}

#[test]
fn enabling_checks_keeps_a_server_in_use_until_its_first_result() {
    let lb = lb(["a", "b"]).checked();
    assert_eq!(lb.new_clients(2), ["a", "b"]);
    let lb = lb.first_check("a", Outcome::Failed).first_check("b", Outcome::Passed);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
}

#[test]
fn disabling_checks_puts_down_servers_back_in_use() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Failed).first_check("b", Outcome::Failed);
    lb.client().visits(1).was_served_by(["503"]);
    let lb = lb.unchecked();
    assert_eq!(lb.new_clients(2), ["a", "b"]);
}

#[test]
fn a_server_leaving_maintenance_waits_for_its_check() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Passed).first_check("b", Outcome::Passed);
    let lb = lb.maint("a").ready("a");
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    let lb = lb.first_check("a", Outcome::Passed);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn a_server_without_checks_leaves_maintenance_at_once() {
    let lb = lb(["a", "b"]).maint("a").ready("a");
    assert_eq!(lb.new_clients(2), ["a", "b"]);
}

#[test]
fn a_server_with_a_new_address_keeps_its_sessions_and_is_rechecked() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Passed).first_check("b", Outcome::Passed);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.address("a", "192.0.2.7:80");
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let lb = lb.first_check("a", Outcome::Failed);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    // The address belongs to a different machine now, whose health is unknown.
    let lb = lb.address("a", "192.0.2.8:80");
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    let lb = lb.first_check("a", Outcome::Passed);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn an_added_server_waits_for_its_check() {
    let lb = lb(["a", "b"]).checked().without("b");
    let other = lb.with_server("c");
    assert_eq!(other.new_clients(2), ["a", "a"]);
}

#[test]
fn a_server_whose_check_asks_for_a_drain_keeps_its_sessions_and_gets_no_new_ones() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Passed).first_check("b", Outcome::Passed);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.first_check("a", Outcome::Draining);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
    client.visits(2).was_served_by(["a", "a"]).because(["hit", "hit"]);
    let lb = lb.weight("b", 2);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"], "a reload changes nothing about it");
    let lb = lb.first_check("a", Outcome::Passed);
    assert!(lb.new_clients(4).contains(&"a".to_owned()));
}

#[test]
fn a_server_that_asks_for_a_drain_counts_as_up() {
    let lb = lb(["a"]).checked().first_check("a", Outcome::Draining);
    assert_eq!(lb.at("a", |server, _| server.health()), Health::Up);
    lb.client().visits(1).was_served_by(["503"]).because(["no_server"]);
}

#[test]
fn switching_checks_off_ends_a_drain_by_check() {
    let lb = lb(["a", "b"]).checked().first_check("a", Outcome::Draining).first_check("b", Outcome::Passed).unchecked();
    assert!(lb.new_clients(4).contains(&"a".to_owned()));
}
