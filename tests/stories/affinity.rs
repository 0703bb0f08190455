//! What the Burdock-Affinity header tells a server about a moved session, and what a server may order with it.

use burdock::upstream::failover::Action;

use crate::language::{Visit, lb};

fn announced(visit: &Visit) -> Option<&str> {
    visit.seen.get("burdock-affinity").map(|value| value.to_str().unwrap())
}

const PLAIN: &str = "[{cookie: {name: S, token: plain}}]";
const AFFINITY: &str = "burdock-affinity";

#[test]
fn the_affinity_header_announces_a_moved_session_once() {
    let lb = lb(["a", "b"]).sticky(PLAIN).down("a");
    let mut client = lb.client().with_cookie("S", "a");
    assert_eq!(announced(&client.visits(1).only()), Some("moved; from=a; reason=down"));
    assert_eq!(announced(&client.visits(1).because(["hit"]).only()), None, "once");
    let visit = lb.client().with_cookie("S", "gone").visits(1).only();
    assert_eq!(announced(&visit), Some("moved; reason=unknown_server"));
    assert_eq!(announced(&lb.client().visits(1).only()), None);
}

#[test]
fn the_affinity_header_announces_a_detour() {
    let lb = lb(["a", "b"]).sticky(PLAIN).down("a").failover(|failover| failover.down = Action::Temporary(None));
    assert_eq!(announced(&lb.client().with_cookie("S", "a").visits(1).only()), Some("detour; from=a; reason=down"));
}

#[test]
fn the_affinity_header_announces_a_redispatched_session() {
    let lb = lb(["a", "b"]).sticky(PLAIN).refuses("a");
    assert_eq!(announced(&lb.client().with_cookie("S", "a").visits(1).only()), Some("moved; from=a; reason=redispatched"));
}

#[test]
fn announce_false_sends_no_header_and_clients_cannot_forge_one() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{announce: false}").down("a");
    assert_eq!(announced(&lb.client().with_cookie("S", "a").visits(1).only()), None);
    let forging = || lb.client().with_header(AFFINITY, "moved; from=x; reason=down");
    assert_eq!(announced(&forging().visits(1).only()), None);
}

#[test]
fn a_servers_affinity_header_never_reaches_the_client() {
    for obey in ["[]", "[release, extend, move_to]"] {
        let lb = lb(["a", "b"]).sticky(PLAIN).affinity(&format!("{{obey: {obey}}}")).answers_with(AFFINITY, "move-to=b");
        assert_eq!(lb.client().visits(1).only().received.get(AFFINITY), None);
    }
}

#[test]
fn an_application_releases_a_session() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S}}, {header: {name: X}}]").affinity("{obey: [release]}");
    let mut client = lb.client().keeps_header("x");
    client.visits(1);
    let lb = lb.answers_with(AFFINITY, "release");
    let visit = client.visits(1).because(["hit"]).settled(["forgotten"]).only();
    assert_eq!(visit.set_cookie, ["S=; Path=/; Max-Age=0; HttpOnly"]);
    assert_eq!(client.cookie("S"), None);
    client.visits(1).because(["new"]).settled(["none"]);
    let _ = lb.answers_without_headers();
    client.visits(1).because(["new"]).settled(["inserted"]);
}

#[test]
fn an_application_releases_a_header_session() {
    let lb = lb(["a", "b"]).sticky("[{header: {name: X}}]").affinity("{obey: [release]}");
    let mut client = lb.client().keeps_header("x");
    client.visits(1);
    let _ = lb.answers_with(AFFINITY, "release");
    client.visits(1).settled(["forgotten"]);
    assert!(client.headers.get("x").is_none());
}

#[test]
fn an_application_extends_a_session() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {idle_timeout: 10m}}]").affinity("{obey: [extend]}");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.answers_with(AFFINITY, "extend").after(30);
    client.visits(1).settled(["renewed"]);
    let _ = lb.after(11 * 60 - 1);
    client.visits(1).because(["hit"]);
}

#[test]
fn an_application_moves_a_session_to_a_server_that_accepts_new_ones() {
    let lb = lb(["a", "b", "c"]).sticky("[{cookie: {name: S}}]").affinity("{obey: [move_to]}");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_with(AFFINITY, "move-to=c");
    let visit = client.visits(1).was_served_by(["a"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!(visit.moved, Some("application"));
    let lb = lb.answers_without_headers();
    client.visits(1).was_served_by(["c"]).because(["hit"]);
    for (unusable, lb) in [("d", lb.clone()), ("b", lb.clone().drain("b")), ("b", lb.down("b"))] {
        let lb = lb.answers_only_with(AFFINITY, &format!("move-to={unusable}"));
        client.visits(2).was_served_by(["c", "c"]).settled(["kept", "kept"]);
        let _ = lb.answers_without_headers();
    }
}

#[test]
fn an_application_can_place_a_new_session_elsewhere() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{obey: [move_to]}").answers_with(AFFINITY, "move-to=b");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    assert_eq!(client.cookie("S"), Some("b"));
}

#[test]
fn orders_not_listed_in_obey_are_ignored() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{obey: [extend]}");
    let mut client = lb.client();
    client.visits(1);
    for order in ["release", "move-to=b"] {
        let _ = lb.clone().answers_only_with(AFFINITY, order);
        client.visits(1).was_served_by(["a"]).settled(["kept"]);
    }
}

#[test]
fn an_application_cannot_move_a_hashed_session() {
    let lb = lb(["a", "b"]).sticky("[{hash: {key: 'header:X-User'}}, cookie]").affinity("{obey: [move_to]}");
    for to in ["a", "b"] {
        let lb = lb.clone().answers_only_with(AFFINITY, &format!("move-to={to}"));
        let visit = lb.client().with_header("x-user", "ann").visits(1).because(["hit"]).settled(["kept"]).only();
        assert_eq!((visit.set_cookie, visit.moved), (vec![], None));
    }
}
