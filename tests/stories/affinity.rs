//! What servers hear of a session that comes to them from elsewhere, and what they may say of it.

use burdock::upstream::failover::Action;

use crate::language::{Visit, lb};

fn told(visit: &Visit) -> Option<&str> {
    visit.seen.get("burdock-affinity").map(|value| value.to_str().unwrap())
}

const PLAIN: &str = "[{cookie: {name: S, token: plain}}]";
const SAYS: &str = "burdock-affinity";

#[test]
fn a_server_is_told_of_a_session_that_was_moved_to_it() {
    let lb = lb(["a", "b"]).sticky(PLAIN).down("a");
    let mut client = lb.client().with_cookie("S", "a");
    assert_eq!(told(&client.visits(1).only()), Some("moved; from=a; reason=down"));
    assert_eq!(told(&client.visits(1).because(["hit"]).only()), None, "once");
    let visit = lb.client().with_cookie("S", "gone").visits(1).only();
    assert_eq!(told(&visit), Some("moved; reason=unknown_server"));
    assert_eq!(told(&lb.client().visits(1).only()), None);
}

#[test]
fn a_detour_is_told_as_one() {
    let lb = lb(["a", "b"]).sticky(PLAIN).down("a").failover(|failover| failover.down = Action::Temporary(None));
    assert_eq!(told(&lb.client().with_cookie("S", "a").visits(1).only()), Some("detour; from=a; reason=down"));
}

#[test]
fn a_redispatched_session_is_told_from_where() {
    let lb = lb(["a", "b"]).sticky(PLAIN).refuses("a");
    assert_eq!(told(&lb.client().with_cookie("S", "a").visits(1).only()), Some("moved; from=a; reason=redispatched"));
}

#[test]
fn nothing_is_told_where_that_is_not_wanted_and_clients_cannot_say_it() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{announce: false}").down("a");
    assert_eq!(told(&lb.client().with_cookie("S", "a").visits(1).only()), None);
    let forging = || lb.client().with_header(SAYS, "moved; from=x; reason=down");
    assert_eq!(told(&forging().visits(1).only()), None);
}

#[test]
fn what_a_server_says_never_reaches_the_client() {
    for obey in ["[]", "[release, extend, move_to]"] {
        let lb = lb(["a", "b"]).sticky(PLAIN).affinity(&format!("{{obey: {obey}}}")).answers_with(SAYS, "move-to=b");
        assert_eq!(lb.client().visits(1).only().received.get(SAYS), None);
    }
}

#[test]
fn an_application_releases_a_session() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S}}, {header: {name: X}}]").affinity("{obey: [release]}");
    let mut client = lb.client().keeps_header("x");
    client.visits(1);
    let lb = lb.answers_with(SAYS, "release");
    let visit = client.visits(1).because(["hit"]).settled(["forgotten"]).only();
    assert_eq!(visit.set_cookie, ["S=; Path=/; Max-Age=0; HttpOnly"]);
    assert_eq!(client.held("S"), None);
    client.visits(1).because(["new"]).settled(["none"]);
    let _ = lb.answers_plainly();
    client.visits(1).because(["new"]).settled(["inserted"]);
}

#[test]
fn an_application_releases_a_header_session() {
    let lb = lb(["a", "b"]).sticky("[{header: {name: X}}]").affinity("{obey: [release]}");
    let mut client = lb.client().keeps_header("x");
    client.visits(1);
    let _ = lb.answers_with(SAYS, "release");
    client.visits(1).settled(["forgotten"]);
    assert!(client.headers.get("x").is_none());
}

#[test]
fn an_application_extends_a_session() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {idle_timeout: 10m}}]").affinity("{obey: [extend]}");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.answers_with(SAYS, "extend").after(30);
    client.visits(1).settled(["renewed"]);
    let _ = lb.after(11 * 60 - 1);
    client.visits(1).because(["hit"]);
}

#[test]
fn an_application_moves_a_session_to_a_server_that_takes_new_ones() {
    let lb = lb(["a", "b", "c"]).sticky("[{cookie: {name: S}}]").affinity("{obey: [move_to]}");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_with(SAYS, "move-to=c");
    let visit = client.visits(1).was_served_by(["a"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!(visit.moved, Some("application"));
    let lb = lb.answers_plainly();
    client.visits(1).was_served_by(["c"]).because(["hit"]);
    for (nobody, lb) in [("d", lb.clone()), ("b", lb.clone().drain("b")), ("b", lb.down("b"))] {
        let lb = lb.answers_only_with(SAYS, &format!("move-to={nobody}"));
        client.visits(2).was_served_by(["c", "c"]).settled(["kept", "kept"]);
        let _ = lb.answers_plainly();
    }
}

#[test]
fn a_new_session_may_begin_elsewhere() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{obey: [move_to]}").answers_with(SAYS, "move-to=b");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    assert_eq!(client.held("S"), Some("b"));
}

#[test]
fn what_the_configuration_does_not_allow_is_not_obeyed() {
    let lb = lb(["a", "b"]).sticky(PLAIN).affinity("{obey: [extend]}");
    let mut client = lb.client();
    client.visits(1);
    for wish in ["release", "move-to=b"] {
        let _ = lb.clone().answers_only_with(SAYS, wish);
        client.visits(1).was_served_by(["a"]).settled(["kept"]);
    }
}

#[test]
fn a_session_whose_tie_is_its_name_cannot_be_moved() {
    let lb = lb(["a", "b"]).sticky("[{hash: {key: 'header:X-User'}}, cookie]").affinity("{obey: [move_to]}");
    for to in ["a", "b"] {
        let lb = lb.clone().answers_only_with(SAYS, &format!("move-to={to}"));
        let visit = lb.client().with_header("x-user", "ann").visits(1).because(["hit"]).settled(["kept"]).only();
        assert_eq!((visit.set_cookie, visit.moved), (vec![], None));
    }
}
