//! Server states: which sessions a server still serves, and which may start there.

use crate::language::lb;

#[test]
fn a_client_stays_on_its_server() {
    let lb = lb(["a", "b"]);
    lb.client()
        .visits(3)
        .was_served_by(["a", "a", "a"])
        .because(["new", "hit", "hit"])
        .settled(["inserted", "kept", "kept"]);
    lb.client().visits(2).was_served_by(["b", "b"]);
}

#[test]
fn a_draining_server_keeps_its_sessions_and_gets_no_new_ones() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.drain("a");
    client.visits(2).was_served_by(["a", "a"]).because(["hit", "hit"]);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn a_server_of_weight_0_keeps_its_sessions_and_gets_no_new_ones() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.weight("a", 0);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn a_server_in_maint_serves_no_session() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.maint("a");
    client.visits(2).was_served_by(["b", "b"]).because(["maint", "hit"]).settled(["rewritten", "kept"]);
    assert_eq!(lb.new_clients(2), ["b", "b"]);
}

#[test]
fn an_unchecked_server_gets_no_new_sessions() {
    let lb = lb(["a", "b"]).health("a", burdock::upstream::health::Health::Unchecked);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}

#[test]
fn backups_are_used_only_when_no_primary_accepts_new_sessions() {
    let lb = lb(["a", "b", "spare"]).backup("spare");
    assert_eq!(lb.new_clients(4), ["a", "b", "a", "b"]);
    let lb = lb.down("a").drain("b");
    assert_eq!(lb.new_clients(2), ["spare", "spare"]);
}

#[test]
fn a_session_that_started_on_a_backup_stays_there() {
    let lb = lb(["a", "spare"]).backup("spare").down("a");
    let mut client = lb.client();
    client.visits(1).was_served_by(["spare"]);
    let _lb = lb.up("a");
    client.visits(1).was_served_by(["spare"]).because(["hit"]);
}

#[test]
fn a_request_without_a_usable_server_gets_503() {
    let lb = lb(["a", "b"]).down("a").maint("b");
    lb.client().visits(1).was_served_by(["503"]).because(["no_server"]).settled(["none"]);
}

#[test]
fn the_last_tenth_of_max_conns_is_for_tied_sessions() {
    let lb = lb(["a", "b"]).max_conns("a", 10);
    let mut tied = lb.client();
    tied.visits(1).was_served_by(["a"]);
    let _held: Vec<_> = (0..9).map(|_| tied.starts_request()).collect();
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
    let (server, _tenth) = tied.starts_request();
    assert_eq!(server, "a");
    tied.visits(1).was_served_by(["b"]).because(["full"]);
}

#[test]
fn a_request_releases_its_slot_when_it_ends() {
    let lb = lb(["a"]).max_conns("a", 1);
    let mut client = lb.client();
    let (_, held) = client.starts_request();
    client.visits(1).was_served_by(["503"]).because(["no_server"]);
    drop(held);
    client.visits(1).was_served_by(["a"]);
}

#[test]
fn a_request_that_panics_releases_its_slot() {
    let lb = lb(["a"]).max_conns("a", 1);
    let (_, held) = lb.client().starts_request();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = held;
        panic!("in a hook");
    }));
    assert!(panicked.is_err());
    lb.client().visits(1).was_served_by(["a"]);
}

#[test]
fn sessions_survive_reordered_servers_and_new_addresses() {
    let lb = lb(["a", "b", "c"]);
    let mut clients = [lb.client(), lb.client(), lb.client()];
    let before: Vec<_> = clients.iter_mut().map(|client| client.visits(1).servers()).collect();
    let lb = lb.with(|spec| spec.upstream.servers.reverse()).weight("a", 7);
    let elsewhere = burdock::upstream::spec::Address::Unix("/run/b.sock".into());
    let _lb = lb.server("b", |server| server.address = elsewhere);
    let after: Vec<_> = clients.iter_mut().map(|client| client.visits(1).because(["hit"]).servers()).collect();
    assert_eq!(after, before);
}

#[test]
fn a_down_server_stays_down_through_a_reload() {
    let lb = lb(["a", "b"]).down("a").weight("b", 5);
    assert_eq!(lb.new_clients(3), ["b", "b", "b"]);
}
