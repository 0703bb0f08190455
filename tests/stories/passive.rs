//! Passive health: servers whose requests fail are ejected for a while, never too many at a time, and return after a passed probe.

use std::time::Duration;

use burdock::upstream::health::{Condition, Outcome};
use burdock::upstream::health_state::ProbeOutcome;

use crate::language::{Connections, Lb, lb};

const PASSIVE: &str = "passive_health: {failures: 3, window: 10s, hold: 10s, max_hold: 60s}";

impl Lb {
    fn condition(&self, id: &str) -> Condition {
        self.at(id, |server, _| server.health_state().condition())
    }

    /// This server refuses the connections of this many clients.
    fn fails(self, id: &str, times: usize) -> Self {
        let lb = self.refuses(id);
        let redispatched = |lb: &Self| lb.client().visits(1).last().reason == "redispatched";
        let mut failed = 0;
        while failed < times && lb.condition(id) != Condition::Ejected {
            failed += usize::from(redispatched(&lb));
        }
        lb.accepts(id)
    }
}

#[test]
fn consecutive_failures_eject_a_server() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
    let lb = lb.fails("a", 1);
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn a_shortage_on_this_host_says_nothing_of_a_server() {
    let lb = lb(["a", "b"]).settings("passive_health: {failures: 1, window: 10s, hold: 10s, max_hold: 60s}");
    let mut tied = lb.client();
    tied.visits(1).was_served_by(["a"]);
    let lb = lb.opens(Connections::None);
    tied.visits(3).was_served_by(["503", "503", "503"]);
    assert_eq!(lb.new_clients(2), ["503", "503"]);
    assert_eq!([lb.condition("a"), lb.condition("b")], [Condition::Up, Condition::Up]);
    let lb = lb.opens(Connections::Any);
    tied.visits(1).was_served_by(["a"]).because(["hit"]);
    drop(lb);
}

#[test]
fn a_probe_that_could_not_run_does_not_extend_an_ejection() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3);
    for _ in 0..3 {
        assert_eq!(lb.probed("a", Outcome::NotRun), ProbeOutcome::StillEjected(Duration::from_secs(10)));
    }
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
}

#[test]
fn a_success_between_failures_resets_the_count() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2);
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
    assert_eq!(lb.fails("a", 2).condition("a"), Condition::Up);
}

#[test]
fn failures_outside_the_window_eject_no_server() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 2).after(11).fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
}

#[test]
fn server_errors_count_as_failures_and_client_errors_do_not() {
    let lb = lb(["a", "b"]).settings(PASSIVE).answers(404);
    lb.new_clients(20);
    assert_eq!(lb.condition("a"), Condition::Up);
    let lb = lb.answers(502);
    lb.new_clients(20);
    let conditions = [lb.condition("a"), lb.condition("b")];
    assert_eq!(conditions, [Condition::Ejected, Condition::Up], "half of two is one");
}

#[test]
fn failed_connections_eject_by_default_and_failed_answers_do_not() {
    let lb = lb(["a", "b"]).settings("").answers(500);
    lb.new_clients(50);
    assert_eq!([lb.condition("a"), lb.condition("b")], [Condition::Up, Condition::Up]);
    let lb = lb.fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
    assert_eq!(lb.fails("a", 1).condition("a"), Condition::Ejected);
}

#[test]
fn without_passive_health_failures_do_not_count() {
    let lb = lb(["a", "b"]).settings("passive_health: none").answers(500);
    lb.new_clients(50);
    let lb = lb.refuses("a");
    lb.new_clients(50);
    assert_eq!([lb.condition("a"), lb.condition("b")], [Condition::Up, Condition::Up]);
}

#[test]
fn ejections_stay_within_a_share_of_the_servers_in_use() {
    fn ejected<const N: usize>(lb: &Lb, ids: [&str; N]) -> usize {
        ids.iter().filter(|id| lb.condition(id) == Condition::Ejected).count()
    }
    let one = lb(["a"]).settings(PASSIVE).answers(500);
    one.new_clients(20);
    assert_eq!(ejected(&one, ["a"]), 0);
    let five = lb(["a", "b", "c", "d", "e"]).settings(PASSIVE).answers(500);
    five.new_clients(100);
    assert_eq!(ejected(&five, ["a", "b", "c", "d", "e"]), 2);
    // Servers in maint and down servers do not count as in use.
    let two_left = lb(["a", "b", "c", "d"]).settings(PASSIVE).maint("c").down("d").answers(500);
    two_left.new_clients(100);
    assert_eq!(ejected(&two_left, ["a", "b", "c", "d"]), 1);
}

#[test]
fn an_ejected_server_returns_only_after_a_passed_probe() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).after(3600);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
    assert_eq!(lb.new_clients(2), ["b", "b"]);
    assert_eq!(lb.probed("a", Outcome::Passed), ProbeOutcome::Recovered(Condition::Up));
    assert!(lb.new_clients(2).contains(&"a".to_owned()));
}

#[test]
fn an_ejected_servers_sessions_fail_over_as_down() {
    let lb = lb(["a", "b"]).settings(PASSIVE);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.fails("a", 3);
    client.visits(2).was_served_by(["b", "b"]).because(["down", "hit"]);
    drop(lb);
}

#[test]
fn the_detour_limit_counts_from_the_ejection() {
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
fn check_results_and_ejections_are_independent() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).down("a");
    assert_eq!(lb.condition("a"), Condition::Down);
    let lb = lb.up("a");
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.down("a").probed("a", Outcome::Passed), ProbeOutcome::Recovered(Condition::Down));
}

#[test]
fn an_ejection_survives_a_reload_but_not_a_new_address() {
    let lb = lb(["a", "b", "c"]).settings(PASSIVE).fails("a", 3).weight("a", 7).without("c");
    assert_eq!(lb.condition("a"), Condition::Ejected);
    assert_eq!(lb.probed("a", Outcome::Failed), ProbeOutcome::StillEjected(Duration::from_secs(20)));
    let lb = lb.address("a", "192.0.2.7:80");
    assert_eq!(lb.condition("a"), Condition::Up);
}

#[test]
fn disabling_passive_health_ends_an_ejection() {
    let lb = lb(["a", "b"]).settings(PASSIVE).fails("a", 3).with(|shop| shop.upstream.passive_health = None);
    assert_eq!(lb.condition("a"), Condition::Up);
}

#[test]
fn failures_within_the_window_eject_a_server_whatever_comes_between_if_so_configured() {
    let lb = lb(["a", "b"]).settings("passive_health: {failures: 3, window: 10s, count: in_window}");
    let lb = lb.fails("a", 2);
    assert!(lb.new_clients(2).contains(&"a".to_owned()), "an answer between the failures");
    let lb = lb.fails("a", 1);
    assert_eq!(lb.condition("a"), Condition::Ejected);
}

#[test]
fn failures_outside_the_window_do_not_count_in_either_way() {
    let lb = lb(["a", "b"]).settings("passive_health: {failures: 3, window: 10s, count: in_window}");
    let lb = lb.fails("a", 2).after(11).fails("a", 2);
    assert_eq!(lb.condition("a"), Condition::Up);
}
