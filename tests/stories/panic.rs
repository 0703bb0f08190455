//! The panic threshold: when too few servers are up, new sessions ignore health.

use burdock::upstream::balance::Balance;

use crate::language::lb;

const HALF: &str = "panic_threshold: 50%";

#[test]
fn a_panic_sends_new_sessions_to_every_ready_server() {
    let lb = lb(["a", "b", "c", "d"]).settings(HALF).down("a").down("b");
    lb.client().visits(1).because(["new"]);
    let lb = lb.down("c");
    let visits: Vec<_> = (0..4).map(|_| lb.client().visits(1).last()).collect();
    assert!(visits.iter().all(|visit| visit.reason == "panic"));
    let servers: std::collections::BTreeSet<_> = visits.iter().map(|visit| &*visit.server).collect();
    assert_eq!(servers.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    lb.up("c").client().visits(1).because(["new"]);
}

#[test]
fn all_servers_take_turns_when_all_are_down() {
    for balance in [Balance::RoundRobin, Balance::LeastConn] {
        let lb = lb(["a", "b", "c"]).settings(HALF).balance(balance).down("a").down("b").down("c");
        let mut servers = lb.new_clients(6);
        servers.sort();
        assert_eq!(servers, ["a", "a", "b", "b", "c", "c"], "{balance:?}");
    }
}

#[test]
fn without_a_threshold_there_is_no_panic() {
    let lb = lb(["a", "b"]).down("a").down("b");
    lb.client().visits(1).was_served_by(["503"]).because(["no_server"]);
}

#[test]
fn a_panic_skips_servers_in_maint_drain_or_of_weight_0() {
    let lb = lb(["a", "b", "c", "d"]).settings(HALF).maint("a").drain("b").weight("c", 0).down("d");
    assert_eq!(lb.new_clients(3), ["d", "d", "d"]);
}

#[test]
fn backups_are_used_before_a_panic() {
    let lb = lb(["a", "b", "spare"]).settings(HALF).backup("spare").down("a").down("b");
    lb.client().visits(1).was_served_by(["spare"]).because(["new"]);
    let lb = lb.down("spare");
    let visit = lb.client().visits(1).last();
    assert_eq!((visit.reason, visit.server == "spare"), ("panic", false));
}

#[test]
fn a_session_of_a_down_server_keeps_its_cause_in_a_panic() {
    let lb = lb(["a", "b", "c"]).settings("panic_threshold: 100%");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.down("a").down("b");
    let visit = client.visits(1).last();
    assert_eq!(visit.reason, "down");
    client.visits(1).because(if visit.server == "c" { ["hit"] } else { ["down"] });
    drop(lb);
}

#[test]
fn a_session_of_a_healthy_server_stays_during_a_panic() {
    let lb = lb(["a", "b", "c"]).settings(HALF);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let _lb = lb.down("b").down("c");
    client.visits(3).because(["hit", "hit", "hit"]).was_served_by(["a", "a", "a"]);
}

#[test]
fn a_session_left_in_place_by_a_panic_has_not_moved() {
    let lb = lb(["a"]).settings(HALF);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let _lb = lb.down("a");
    let visit = client.visits(1).last();
    assert_eq!((&*visit.server, visit.reason, visit.moved, visit.settled), ("a", "down", None, "kept"));
}

#[test]
fn a_panic_does_not_retry_a_server_that_refuses() {
    let lb = lb(["a", "b"]).settings(HALF).down("a").down("b").refuses("a");
    lb.client().visits(1).was_served_by(["b"]).because(["redispatched"]);
}

#[test]
fn nameless_requests_of_one_connection_stay_together_in_a_panic() {
    let lb = lb(["a", "b", "c", "d"]).settings(HALF).down("a").down("b").down("c");
    let mut client = lb.client().on_one_connection().without_cookies();
    let servers = client.visits(4).servers();
    assert!(servers.iter().all(|server| *server == servers[0]), "{servers:?}");
}
