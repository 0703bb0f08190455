//! What is believed of servers when the configuration changes around them.

use burdock::upstream::health::{CheckSpec, Outcome, Probe, Streak, Thresholds};
use std::time::Duration;

use crate::language::{Lb, lb};

fn check() -> CheckSpec {
    let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
    CheckSpec { probe: Probe::Tcp, port: None, interval, timeout, thresholds: Thresholds::default() }
}

impl Lb {
    fn checked(self) -> Self {
        self.with(|pool| pool.upstream.health_check = Some(check()))
    }

    fn not_checked(self) -> Self {
        self.with(|pool| pool.upstream.health_check = None)
    }

    /// The first check of this server ends so.
    fn check_ends(self, id: &str, outcome: Outcome) -> Self {
        self.at(id, |server, now| {
            server.health_state().checked(outcome, &mut Streak::default(), Thresholds::default(), now.uptime);
        });
        self
    }
}

#[test]
fn what_is_believed_of_a_server_survives_other_weights_states_and_neighbours() {
    let lb = lb(["a", "b"]).checked().check_ends("a", Outcome::Failed).check_ends("b", Outcome::Passed);
    let lb = lb.after(60).weight("a", 9).drain("a").max_conns("a", 7).backup("b");
    lb.at("a", |server, now| assert_eq!(server.unchanged_for(now), Duration::from_secs(60)));
    assert_eq!(lb.new_clients(2), ["b", "b"]);
}

#[test]
fn a_server_in_use_stays_so_when_checks_are_switched_on_and_the_first_check_decides() {
    let lb = lb(["a", "b"]).checked();
    assert_eq!(lb.new_clients(2), ["a", "b"]);
    let lb = lb.check_ends("a", Outcome::Failed).check_ends("b", Outcome::Passed);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
}

#[test]
fn a_server_is_no_longer_down_when_its_checks_are_switched_off() {
    let lb = lb(["a", "b"]).checked().check_ends("a", Outcome::Failed).check_ends("b", Outcome::Failed);
    lb.client().visits(1).was_served_by(["503"]);
    let lb = lb.not_checked();
    assert_eq!(lb.new_clients(2), ["a", "b"]);
}

#[test]
fn a_server_that_leaves_maintenance_waits_for_its_check() {
    let lb = lb(["a", "b"]).checked().check_ends("a", Outcome::Passed).check_ends("b", Outcome::Passed);
    let lb = lb.maint("a").ready("a");
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    let lb = lb.check_ends("a", Outcome::Passed);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn a_server_without_a_check_is_used_at_once_when_it_leaves_maintenance() {
    let lb = lb(["a", "b"]).maint("a").ready("a");
    assert_eq!(lb.new_clients(2), ["a", "b"]);
}

#[test]
fn a_server_at_another_address_keeps_its_sessions_and_is_judged_anew() {
    let lb = lb(["a", "b"]).checked().check_ends("a", Outcome::Passed).check_ends("b", Outcome::Passed);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.address("a", "192.0.2.7:80");
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let lb = lb.check_ends("a", Outcome::Failed);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    // What was down is another machine now: nobody knows of this one.
    let lb = lb.address("a", "192.0.2.8:80");
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    let lb = lb.check_ends("a", Outcome::Passed);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn a_server_that_is_added_waits_for_its_check() {
    let lb = lb(["a", "b"]).checked().without("b");
    let other = lb.with_server("c");
    assert_eq!(other.new_clients(2), ["a", "a"]);
}
