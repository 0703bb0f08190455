//! Failover: what happens to a session whose server cannot serve it.

use std::time::Duration;

use burdock::upstream::failover::Action;
use http::StatusCode;

use crate::language::{Client, Lb, lb};

/// A balancer with servers a, b and c, and a client tied to `a`.
fn tied() -> (Lb, Client) {
    let lb = lb(["a", "b", "c"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    (lb, client)
}

#[test]
fn a_session_whose_server_is_down_moves_for_good() {
    let (lb, mut client) = tied();
    let lb = lb.down("a");
    let servers = client.visits(2).because(["down", "hit"]).settled(["rewritten", "kept"]).servers();
    let _lb = lb.up("a");
    let later = client.visits(1).because(["hit"]).servers();
    assert!(later[0] == servers[0] && servers[0] != "a", "{servers:?} {later:?}");
}

#[test]
fn a_refused_connection_redispatches_and_moves_the_session() {
    let (lb, mut client) = tied();
    let _lb = lb.refuses("a");
    let servers = client.visits(2).because(["redispatched", "hit"]).settled(["rewritten", "kept"]).servers();
    assert_ne!(servers[0], "a");
}

#[test]
fn a_detour_keeps_the_tie_and_ends_when_the_server_is_back() {
    let (lb, mut client) = tied();
    let lb = lb.failover(|failover| failover.down = Action::Temporary(None)).down("a");
    let token = client.token();
    let servers = client.visits(3).because(["down", "down", "down"]).settled(["none", "none", "none"]).servers();
    assert!(
        servers.iter().all(|server| server == &servers[0] && server != "a"),
        "one substitute for the whole detour: {servers:?}"
    );
    assert_eq!(client.token(), token);
    let _lb = lb.up("a");
    client.visits(1).was_served_by(["a"]).because(["hit"]);
}

#[test]
fn a_detour_becomes_permanent_after_its_limit() {
    let (lb, mut client) = tied();
    let lb = lb.failover(|failover| failover.down = Action::Temporary(Some(Duration::from_secs(600)))).down("a").after(599);
    client.visits(1).because(["down"]).settled(["none"]);
    let lb = lb.after(1);
    let servers = client.visits(1).because(["down"]).settled(["rewritten"]).servers();
    let _lb = lb.up("a");
    assert_eq!(client.visits(1).because(["hit"]).servers(), servers);
}

#[test]
fn refuse_answers_with_its_status_instead_of_moving_the_session() {
    let (lb, mut client) = tied();
    let _lb = lb.failover(|failover| failover.maint = Action::Refuse(StatusCode::SERVICE_UNAVAILABLE)).maint("a");
    client.visits(1).was_served_by(["503"]).because(["refused"]);
}

#[test]
fn each_cause_has_its_own_action() {
    let (lb, mut client) = tied();
    let lb = lb.failover(|failover| failover.down = Action::Refuse(StatusCode::BAD_GATEWAY)).max_conns("a", 1);
    let (_, held) = client.starts_request();
    client.visits(1).because(["full"]).settled(["none"]);
    drop(held);
    let _lb = lb.down("a");
    client.visits(1).was_served_by(["502"]).because(["refused"]);
}

#[test]
fn a_session_of_a_removed_server_moves_as_unknown_server() {
    let (lb, mut client) = tied();
    let _lb = lb.without("a");
    client.visits(2).because(["unknown_server", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn detoured_sessions_spread_and_each_keeps_one_substitute() {
    let (lb, _) = tied();
    let mut orphans: Vec<Client> = (0..60).map(|_| lb.client()).collect();
    for client in &mut orphans {
        client.visits(1);
    }
    let lb = lb.failover(|failover| failover.down = Action::Temporary(None)).down("a");
    let moved: Vec<String> = orphans
        .iter_mut()
        .flat_map(|client| {
            let servers = client.visits(2).servers();
            assert_eq!(servers[0], servers[1]);
            servers
        })
        .collect();
    let at = |id: &str| moved.iter().filter(|server| *server == id).count();
    assert!(at("b") > 30 && at("c") > 30 && at("a") == 0, "{moved:?}");
    drop(lb);
}

#[test]
fn a_request_does_not_return_to_a_failed_server() {
    let lb = lb(["a", "b", "c"]).refuses("a").refuses("b");
    lb.client().visits(1).was_served_by(["c"]).because(["redispatched"]).settled(["inserted"]);
}

#[test]
fn all_attempts_count_toward_the_retry_limit() {
    let lb = lb(["a", "b", "c", "d"]).backup("d").refuses("a").refuses("b").refuses("c");
    lb.client().visits(1).was_served_by(["502"]);
}

#[test]
fn a_session_is_redispatched_after_its_same_server_retries() {
    let (lb, mut client) = tied();
    let tries = |lb: Lb, tries| {
        lb.with(|shop| {
            shop.upstream.retry.same_server = 2;
            shop.upstream.retry.tries = tries;
        })
    };
    let lb = tries(lb, 2).refuses("a");
    client.visits(1).was_served_by(["502"]);
    let _lb = tries(lb, 3);
    client.visits(1).because(["redispatched"]);
}

#[test]
fn a_token_of_an_unconfigured_server_equals_one_of_a_removed_server() {
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.token = burdock::session::token_format::TokenFormat::Plain);
    lb.client().holding("nobody").visits(2).because(["unknown_server", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn a_request_that_failed_at_every_server_there_is_gets_502_from_the_last() {
    for servers in [1, 2] {
        let lb = lb(["a", "b"]).refuses("a").refuses("b");
        let lb = if servers == 1 { lb.maint("b") } else { lb };
        lb.client().visits(1).was_served_by(["502"]).because([if servers == 1 { "new" } else { "redispatched" }]);
    }
}

#[test]
fn a_request_whose_other_servers_are_full_gets_503() {
    let lb = lb(["a", "b"]).max_conns("b", 1);
    let held: Vec<_> = (0..2).map(|_| lb.client().starts_request()).collect();
    lb.refuses("a").client().visits(1).was_served_by(["503"]).because(["no_server"]);
    drop(held);
}
