//! `follows`: Burdock's cookie is set, renewed and deleted with the application's session cookie.

use crate::language::{Client, Lb, lb};

const SESSION: &str = "JSESSIONID=1A2B; Path=/shop; HttpOnly; Max-Age=1800; Expires=Fri, 15 Jan 2027 08:30:00 GMT";
const ENDED: &str = "JSESSIONID=; Path=/shop; Max-Age=0";

fn following() -> Lb {
    lb(["a", "b"]).sticky("[{cookie: {follows: JSESSIONID}}]")
}

fn logged_in(lb: &Lb) -> Client {
    let mut client = lb.clone().answers_only_with("set-cookie", SESSION).client();
    client.visits(1).because(["new"]).settled(["inserted"]);
    client
}

#[test]
fn the_cookie_comes_with_the_applications_and_has_its_path_and_times() {
    let lb = following();
    lb.client().visits(2).because(["new", "new"]).settled(["none", "none"]);
    let visit = lb.answers_only_with("set-cookie", SESSION).client().visits(1).settled(["inserted"]).last();
    let [ours] = &visit.set_cookie[..] else { panic!("{visit:?}") };
    assert!(ours.starts_with("BURDOCK_shop="), "{ours}");
    assert!(ours.ends_with("; HttpOnly; Path=/shop; Max-Age=1800; Expires=Fri, 15 Jan 2027 08:30:00 GMT"), "{ours}");
    let lines: Vec<_> = visit.received.get_all("set-cookie").iter().collect();
    assert_eq!((lines.len(), lines[0].to_str().unwrap()), (2, SESSION), "the application's own is unchanged");
}

#[test]
fn a_session_cookie_of_the_browser_is_followed_by_one() {
    let lb = following().answers_only_with("set-cookie", "JSESSIONID=1A2B");
    let ours = lb.client().visits(1).last().set_cookie.remove(0);
    assert!(!["Path", "Max-Age", "Expires"].iter().any(|attribute| ours.contains(attribute)), "{ours}");
}

#[test]
fn the_tie_holds_while_both_cookies_are_sent() {
    let lb = following();
    let mut client = logged_in(&lb);
    let lb = lb.answers_without_headers();
    client.visits(3).because(["hit", "hit", "hit"]).settled(["kept", "kept", "kept"]).was_served_by(["a", "a", "a"]);
    let without_the_applications = client.token();
    let mut other = lb.client().holding(&without_the_applications);
    other.visits(1).because(["new"]).settled(["none"]);
}

#[test]
fn it_is_renewed_when_the_application_sets_its_own_again() {
    let lb = following();
    let mut client = logged_in(&lb);
    client.visits(1).because(["hit"]).settled(["renewed"]);
}

#[test]
fn it_ends_when_the_application_ends_its_own() {
    for ended in [ENDED, "JSESSIONID=gone; Path=/shop; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        let lb = following();
        let mut client = logged_in(&lb);
        let _lb = lb.answers_only_with("set-cookie", ended);
        let visit = client.visits(1).because(["hit"]).settled(["forgotten"]).last();
        let [ours] = &visit.set_cookie[..] else { panic!("{visit:?}") };
        assert!(
            ours.starts_with("BURDOCK_shop=;") && ours.contains("Max-Age=0") && ours.ends_with("; Path=/shop"),
            "{ours}"
        );
    }
}

#[test]
fn a_session_that_is_replaced_in_one_response_is_set_not_ended() {
    let lb = following().answers_with("set-cookie", SESSION).answers_with("set-cookie", "JSESSIONID=; Path=/; Max-Age=0");
    let ours = lb.client().visits(1).settled(["inserted"]).last().set_cookie.remove(0);
    assert!(ours.contains("; Path=/shop; Max-Age=1800"), "{ours}");
}

#[test]
fn a_session_that_lost_its_server_moves_when_the_application_sets_its_cookie_there() {
    let lb = following();
    let mut client = logged_in(&lb);
    let lb = lb.answers_without_headers().down("a");
    client.visits(2).because(["down", "down"]).settled(["none", "none"]).was_served_by(["b", "b"]);
    let lb = lb.answers_only_with("set-cookie", SESSION);
    client.visits(1).because(["down"]).settled(["rewritten"]);
    let _lb = lb.answers_without_headers().up("a");
    client.visits(1).because(["hit"]).was_served_by(["b"]);
}
