//! Sessions that wait for a slot at a full server.

use std::time::Duration;

use burdock::upstream::failover::{Action, OnFull};
use burdock::upstream::queue::Slot;
use burdock::upstream::spec::Removal;
use http::StatusCode;

use crate::language::{Client, Lb, lb};

/// A balancer with `a`, which has one slot, and `b`; a client tied to `a`; and the slot, which is taken.
fn full() -> (Lb, Client, Slot) {
    let lb = lb(["a", "b"]).max_conns("a", 1);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let (_, held) = client.starts_request();
    (lb, client, held)
}

fn then(action: Action) -> OnFull {
    OnFull { wait: Some(Duration::from_secs(2)), then: action }
}

fn new_ones_wait(lb: Lb, seconds: u64) -> Lb {
    lb.with(|spec| spec.upstream.queue.new_sessions = Some(Duration::from_secs(seconds)))
}

#[test]
fn a_tied_session_waits_for_its_server_and_keeps_it() {
    let (_lb, client, held) = full();
    let mut waiter = client.waits();
    assert!(!waiter.has_slot());
    drop(held);
    assert!(waiter.has_slot());
    let (_, visit) = waiter.finishes();
    assert_eq!((visit.server.as_str(), visit.reason, visit.settled), ("a", "hit", "kept"));
}

#[test]
fn a_wait_that_times_out_follows_failover() {
    let actions = [
        (Action::Temporary(None), "b", "full", "none", "a"),
        (Action::Permanent, "b", "full", "rewritten", "b"),
        (Action::Refuse(StatusCode::TOO_MANY_REQUESTS), "429", "refused", "none", "a"),
    ];
    for (action, server, reason, settled, later) in actions {
        let (lb, client, held) = full();
        let lb = lb.failover(|failover| failover.full = then(action));
        let start = lb.at("a", |_, now| now.uptime);
        let (mut client, visit) = client.waits().finishes();
        assert_eq!((visit.server.as_str(), visit.reason, visit.settled), (server, reason, settled));
        assert_eq!(lb.at("a", |_, now| now.uptime.since(start)), Duration::from_secs(2));
        drop(held);
        client.visits(1).was_served_by([later]);
    }
}

#[test]
fn a_session_does_not_wait_without_a_wait_time() {
    let (lb, mut client, _held) = full();
    let lb = lb.failover(|failover| failover.full = Action::Temporary(None).into());
    let start = lb.at("a", |_, now| now.uptime);
    client.visits(1).was_served_by(["b"]).because(["full"]);
    assert_eq!(lb.at("a", |_, now| now.uptime), start);
}

#[test]
fn a_full_queue_accepts_no_session() {
    let (lb, mut client, _held) = full();
    let _lb = lb.with(|spec| spec.upstream.queue.length = 1);
    let _first = client.clone().waits();
    let visit = client.visits(1).was_served_by(["b"]).because(["full"]).only();
    assert_eq!(visit.waited, None);
}

#[test]
fn parallel_requests_of_one_session_wait_and_move_together() {
    let (lb, client, _held) = full();
    let _lb = lb.with(|spec| {
        let more = ["c", "d", "e"].map(|id| {
            let mut server = (*spec.upstream.servers[1]).clone();
            server.id = burdock::ids::ServerId::parse(id).unwrap();
            std::sync::Arc::new(server)
        });
        spec.upstream.servers.extend(more);
    });
    let waiters: Vec<_> = (0..4).map(|_| client.clone().waits()).collect();
    let servers: Vec<String> = waiters.into_iter().map(|waiter| waiter.finishes().1.server).collect();
    assert!(servers.iter().all(|server| *server == servers[0] && *server != "a"), "{servers:?}");
}

#[test]
fn a_retried_request_waits_only_for_its_remaining_time() {
    let (lb, client, held) = full();
    let lb = lb.with(|spec| spec.upstream.retry.same_server = 2);
    let (first, mut second) = (client.clone().waits(), client.waits());
    let _lb = lb.after(1).refuses("a");
    drop(held);
    let (_, visit) = first.finishes();
    assert!(second.has_slot());
    assert_eq!((visit.server.as_str(), visit.reason), ("b", "redispatched"));
    assert_eq!(visit.waited, Some(Duration::from_secs(2)), "one second before the failure and one after it");
}

#[test]
fn a_wait_ends_when_the_server_goes_down() {
    let (lb, client, _held) = full();
    let waiter = client.waits();
    let _lb = lb.down("a");
    let (_, visit) = waiter.finishes();
    assert_eq!((visit.server.as_str(), visit.reason, visit.settled), ("b", "down", "rewritten"));
    assert_eq!(visit.waited, Some(Duration::ZERO));
}

#[test]
fn a_wait_ends_when_the_server_enters_maintenance() {
    let (lb, client, _held) = full();
    let waiter = client.waits();
    let _lb = lb.maint("a");
    let (_, visit) = waiter.finishes();
    assert_eq!((visit.server.as_str(), visit.reason, visit.waited), ("b", "maint", Some(Duration::ZERO)));
}

#[test]
fn a_wait_ends_when_the_server_is_forgotten() {
    let actions = [
        (Action::Permanent, "b", "unknown_server", "rewritten"),
        (Action::Temporary(None), "b", "unknown_server", "none"),
        (Action::Temporary(Some(Duration::from_secs(10))), "b", "unknown_server", "none"),
        (Action::Refuse(StatusCode::GONE), "410", "refused", "none"),
    ];
    for (action, server, reason, settled) in actions {
        let (lb, client, _held) = full();
        let lb = lb.failover(|failover| failover.unknown = action).after(60);
        let waiter = client.waits();
        let _lb = lb.without("a");
        let (_, visit) = waiter.finishes();
        assert_eq!((visit.server.as_str(), visit.reason, visit.settled), (server, reason, settled));
        assert_eq!(visit.waited, Some(Duration::ZERO));
    }
}

#[test]
fn a_new_sessions_wait_ends_when_the_server_is_forgotten() {
    let (lb, _client, _held) = full();
    let lb = new_ones_wait(lb.drain("b"), 3);
    let waiter = lb.client().waits();
    let _lb = lb.without("a");
    let (_, visit) = waiter.finishes();
    assert_eq!((visit.server.as_str(), visit.reason, visit.waited), ("503", "no_server", Some(Duration::ZERO)));
}

#[test]
fn a_wait_continues_while_a_removed_server_drains() {
    let (lb, client, held) = full();
    let mut waiter = client.waits();
    let _lb = lb.removes("a", Removal::Drain);
    assert!(!waiter.has_slot());
    drop(held);
    assert!(waiter.has_slot());
}

#[test]
fn a_raised_max_conns_ends_a_wait() {
    let (lb, client, _held) = full();
    let mut waiter = client.waits();
    let _lb = lb.max_conns("a", 2);
    assert!(waiter.has_slot());
}

#[test]
fn a_client_that_leaves_frees_its_queue_slot() {
    let (lb, client, held) = full();
    let (first, mut second) = (client.clone().waits(), client.waits());
    assert_eq!(first.disconnects(), "full");
    drop(held);
    assert!(second.has_slot());
    drop(second);
    lb.at("a", |server, _| assert_eq!((server.in_flight(), server.waiting()), (0, 0)));
}

#[test]
fn a_strict_session_waits_before_it_is_refused() {
    for full in [then(Action::Temporary(None)), Action::Permanent.into()] {
        let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, token: plain, strict: 410}}]").max_conns("a", 1);
        let lb = lb.failover(|failover| failover.full = full);
        let client = lb.client().with_cookie("S", "a");
        let (_, _held) = client.starts_request();
        let (_, visit) = client.waits().finishes();
        assert_eq!((visit.server.as_str(), visit.waited), ("503", Some(Duration::from_secs(2))));
    }
}

#[test]
fn a_hashed_session_waits_unless_it_spills() {
    for (when_full, server, waited) in [("keep", "503", Some(2)), ("spill", "other", None)] {
        let lb = lb(["a", "b"]).max_conns("a", 1).max_conns("b", 1);
        let lb = lb.sticky(&format!("[{{hash: {{key: 'header:X-User', when_full: {when_full}}}}}]"));
        let mut client = lb.client().with_header("x-user", "ann");
        let (home, _held) = client.starts_request();
        let visit = client.visits(1).only();
        assert_eq!(visit.server == "503", server == "503");
        assert_ne!(visit.server, home);
        assert_eq!(visit.waited, waited.map(Duration::from_secs));
    }
}

#[test]
fn no_session_waits_for_a_server_above_its_share() {
    let lb = lb(["a", "b"]).max_conns("a", 9).max_conns("b", 9);
    let lb = lb.sticky("[{hash: {key: 'header:X-User', load_factor: 1.01, when_full: keep}}]");
    let mut client = lb.client().with_header("x-user", "ann");
    let _held = [client.starts_request(), client.starts_request()];
    let visit = client.visits(1).only();
    assert_eq!((visit.server.as_str(), visit.waited), ("503", None));
}

#[test]
fn new_sessions_do_not_wait_by_default() {
    let lb = lb(["a"]).max_conns("a", 1);
    let (_, _held) = lb.client().starts_request();
    let visit = lb.client().visits(1).was_served_by(["503"]).because(["no_server"]).only();
    assert_eq!(visit.waited, None);
}

#[test]
fn new_sessions_wait_behind_tied_ones() {
    let (lb, client, held) = full();
    let lb = new_ones_wait(lb.drain("b"), 3);
    let (mut new, mut tied) = (lb.client().waits(), client.waits());
    drop(held);
    assert!(tied.has_slot() && !new.has_slot());
    let (_, visit) = tied.finishes();
    assert_eq!(visit.reason, "hit");
    assert!(new.has_slot());
    let (_, visit) = new.finishes();
    assert_eq!((visit.server.as_str(), visit.reason, visit.settled), ("a", "new", "inserted"));
}

#[test]
fn a_new_session_is_refused_after_its_wait() {
    let lb = new_ones_wait(lb(["a"]).max_conns("a", 1), 3);
    let (_, _held) = lb.client().starts_request();
    let visit = lb.client().visits(1).was_served_by(["503"]).because(["no_server"]).only();
    assert_eq!(visit.waited, Some(Duration::from_secs(3)));
    assert_eq!(lb.client().waits().disconnects(), "no_server");
}

#[test]
fn new_sessions_wait_where_the_fewest_are_ahead() {
    let lb = new_ones_wait(lb(["a", "b"]).max_conns("a", 1).max_conns("b", 2), 3);
    let _held: Vec<_> = (0..3).map(|_| lb.client().starts_request()).collect();
    let waiters: Vec<_> = (0..4).map(|_| lb.client().waits()).collect();
    let count = |id: &str| waiters.iter().filter(|waiter| waiter.server() == id).count();
    assert_eq!((count("a"), count("b")), (3, 1), "each new session picks the server with the fewest ahead of it");
}

#[test]
fn a_named_session_waits_for_its_server_on_the_ring() {
    let lb = lb(["a", "b", "c"]).sticky("[{route: {from: 'cookie:S'}}]");
    let lb = ["a", "b", "c"].into_iter().fold(new_ones_wait(lb, 3), |lb, id| lb.max_conns(id, 1));
    let _held: Vec<_> = (0..3).map(|_| lb.client().starts_request()).collect();
    let waiters: Vec<_> = (0..3).map(|_| lb.client().with_cookie("S", "1A2B.gone").waits()).collect();
    assert!(waiters.iter().all(|waiter| waiter.server() == waiters[0].server()));
}

#[test]
fn nameless_requests_of_one_connection_wait_for_one_server() {
    let lb = new_ones_wait(lb(["a", "b", "c"]).max_conns("a", 1).max_conns("b", 1).max_conns("c", 1), 3);
    let _held: Vec<_> = (0..3).map(|_| lb.client().starts_request()).collect();
    let client = lb.client().on_one_connection();
    let waiters: Vec<_> = (0..4).map(|_| client.clone().waits()).collect();
    assert!(waiters.iter().all(|waiter| waiter.server() == waiters[0].server()));
}

#[test]
fn no_new_session_waits_for_a_draining_server() {
    let (lb, _client, _held) = full();
    let lb = new_ones_wait(lb.down("b").drain("a"), 3);
    let visit = lb.client().visits(1).was_served_by(["503"]).only();
    assert_eq!(visit.waited, None);
}
