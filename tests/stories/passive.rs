//! Servers at which requests fail: ejected for a while, never too many of them, and back by a probe that passes.

use std::time::Duration;

use burdock::upstream::health::{Condition, Outcome};
use burdock::upstream::health_state::ProbeOutcome;

use crate::language::{Lb, lb};

const PASSIVE: &str = "passive_health: {failures: 3, window: 10s, hold: 10s, max_hold: 60s}";

impl Lb {
    fn condition(&self, id: &str) -> Condition {
        self.at(id, |server, _| server.health_state().condition())
    }

    /// So many clients come and find that this server refuses connections.
    fn fails(self, id: &str, times: usize) -> Self {
        let lb = self.refuses(id);
        let tried = |lb: &Self| lb.client().visits(1).last().reason == "redispatched";
        let mut failed = 0;
        while failed < times && lb.condition(id) != Condition::Ejected {
            failed += usize::from(tried(&lb));
        }
        lb.accepts(id)
    }
}

#[test]
fn a_server_at_which_several_requests_in_a_row_fail_is_ejected() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
    let lb = lb.fails("a", 1);
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn an_answer_between_failures_ends_the_row() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
    assert_eq!(lb.fails("a", 2).condition("a"), Condition::Up);
}

#[test]
fn failures_that_are_too_far_apart_eject_nobody() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2).after(11).fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
}

#[test]
fn statuses_of_failure_count_and_errors_of_the_client_do_not() {
    let lb = lb(["a", "b"]).settings(PASSIVE).answers(404);
    lb.new_clients(20);
    assert_eq!(lb.condition("a"), Condition::Up);
    let lb = lb.answers(502);
    lb.new_clients(20);
    let conditions = [lb.condition("a"), lb.condition("b")];
    assert_eq!(conditions, [Condition::Ejected, Condition::Up], "half of two is one");
}

#[test]
fn without_passive_health_nothing_that_requests_meet_counts() {
    let lb = lb(["a", "b"]).answers(500);
    lb.new_clients(50);
    assert_eq!([lb.condition("a"), lb.condition("b")], [Condition::Up, Condition::Up]);
}

#[test]
fn no_more_than_the_share_of_servers_in_use_is_ejected() {
    fn ejected<const N: usize>(lb: &Lb, ids: [&str; N]) -> usize {
        ids.iter().filter(|id| lb.condition(id) == Condition::Ejected).count()
    }
    let one = lb(["a"]).settings(PASSIVE).answers(500);
    one.new_clients(20);
    assert_eq!(ejected(&one, ["a"]), 0);
    let five = lb(["a", "b", "c", "d", "e"]).settings(PASSIVE).answers(500);
    five.new_clients(100);
    assert_eq!(ejected(&five, ["a", "b", "c", "d", "e"]), 2);
    // Those that serve nobody anyway are none of them.
    let two_left = lb(["a", "b", "c", "d"]).settings(PASSIVE).maint("c").down("d").answers(500);
    two_left.new_clients(100);
    assert_eq!(ejected(&two_left, ["a", "b", "c", "d"]), 1);
}

#[test]
fn an_ejected_server_comes_back_only_by_a_probe_that_passes() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).after(3600);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    assert_eq!(lb.probed("a", Outcome::Passed), ProbeOutcome::Recovered(Condition::Up));
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn sessions_of_an_ejected_server_follow_failover_for_a_server_that_is_down() {
    let lb = lb(["a", "b"]).settings(PASSIVE);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.fails("a", 3);
    client.visits(2).was_served_by(["b", "b"]).because(["down", "hit"]);
    drop(lb);
}

#[test]
fn the_time_of_an_ejection_counts_for_how_long_a_session_has_been_away() {
    let limit = burdock::upstream::failover::Action::Temporary(Some(Duration::from_secs(60)));
    let lb = lb(["a", "b"]).settings(PASSIVE).failover(|failover| failover.down = limit);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.fails("a", 3);
    client.visits(1).was_served_by(["b"]).settled(["none"]);
    let lb = lb.after(61);
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
    drop(lb);
}

#[test]
fn what_checks_say_and_what_requests_meet_are_told_apart() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).down("a");
    assert_eq!(lb.condition("a"), Condition::Down);
    let lb = lb.up("a");
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.down("a").probed("a", Outcome::Passed), ProbeOutcome::Recovered(Condition::Down));
}

#[test]
fn an_ejection_survives_other_weights_and_neighbours_and_not_another_machine() {
    let lb = lb(["a", "b", "c"]).settings(PASSIVE).fails("a", 3).weight("a", 7).without("c");
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
    let lb = lb.address("a", "192.0.2.7:80");
    assert_eq!(lb.condition("a"), Condition::Up);
}

#[test]
fn nobody_stays_ejected_when_passive_health_is_switched_off() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).with(|pool| pool.upstream.passive_health = None);
    assert_eq!(lb.condition("a"), Condition::Up);
}
