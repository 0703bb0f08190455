//! Strict sessions, which are refused instead of moved, and failover for each method.

use burdock::upstream::failover::Action;

use crate::language::{SETS_COOKIE, lb};

/// The name of each method and its `sticky`, with STRICT for the value of `strict`.
const METHODS: [(&str, &str); 4] = [
    ("cookie", "[{cookie: {name: S, token: plain, strict: STRICT}}]"),
    ("header", "[{header: {name: S, token: plain, strict: STRICT}}]"),
    ("route", "[{route: {from: 'cookie:S', strict: STRICT}}]"),
    ("prefix", "[{cookie: {name: S, mode: prefix, token: plain, strict: STRICT}}]"),
];

fn tied(lb: &crate::language::Lb, method: &str) -> crate::language::Client {
    match method {
        "header" => lb.client().keeps_header("s").with_header("s", "a"),
        "prefix" => lb.client().with_cookie("S", "a~1"),
        _ => lb.client().with_cookie("S", "a"),
    }
}

#[test]
fn a_strict_session_is_refused_for_every_cause_and_method() {
    for (method, sticky) in METHODS {
        let lb = lb(["a", "b"]).sticky(&sticky.replace("STRICT", "true"));
        let mut client = tied(&lb, method);
        client.visits(1).was_served_by(["a"]).because(["hit"]);
        let lb = lb.down("a");
        client.visits(1).was_served_by(["503"]).because(["refused"]);
        let lb = lb.up("a").maint("a");
        client.visits(1).was_served_by(["503"]);
        let lb = lb.without("a");
        client.visits(1).was_served_by(["503"]);
        lb.client().visits(1).was_served_by(["b"]).because(["new"]);
    }
}

#[test]
fn a_strict_session_is_refused_when_its_connection_fails() {
    for (method, sticky) in METHODS {
        let lb = lb(["a", "b"]).sticky(&sticky.replace("STRICT", "502")).refuses("a");
        tied(&lb, method).visits(1).was_served_by(["502"]).because(["refused"]);
    }
}

#[test]
fn a_strict_entry_ends_the_chain() {
    let chain = "[{cookie: {name: S, token: plain, strict: true}}, {header: {name: X, token: plain}}]";
    let lb = lb(["a", "b"]).sticky(chain).down("a");
    lb.client().with_cookie("S", "a").with_header("x", "b").visits(1).was_served_by(["503"]);
    let reverse = "[{header: {name: X, token: plain}}, {cookie: {name: S, token: plain, strict: true}}]";
    let lb = lb.sticky(reverse);
    lb.client().with_cookie("S", "a").with_header("x", "b").visits(1).was_served_by(["b"]).because(["hit"]);
}

#[test]
fn an_unusable_claim_does_not_end_the_chain() {
    let chain = "[{cookie: {name: S, token: plain}}, {header: {name: X, token: plain}}]";
    let lb = lb(["a", "b", "c"]).sticky(chain).down("a");
    let mut client = lb.client().with_cookie("S", "a").keeps_header("x").with_header("x", "b");
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!(visit.method, "header");
    assert_eq!(client.cookie("S"), Some("b"), "the cookie now agrees with the header");
}

#[test]
fn the_first_cause_selects_the_failover_action() {
    let chain = "[{cookie: {name: S, token: plain}}, {header: {name: X, token: plain}}]";
    let lb = lb(["a", "b", "c"]).sticky(chain).down("a").maint("b");
    let lb = lb.failover(|failover| failover.maint = Action::Refuse(http::StatusCode::GONE));
    let mut client = lb.client().with_cookie("S", "a").with_header("x", "b");
    client.visits(1).was_served_by(["c"]).because(["down"]);
    let mut client = lb.client().with_header("x", "b");
    client.visits(1).was_served_by(["410"]);
}

#[test]
fn every_failover_action_applies_to_every_writing_method() {
    let causes = ["down", "maint", "unknown"];
    for (method, sticky) in METHODS.iter().filter(|(method, _)| *method != "route") {
        for cause in causes {
            for action in [Action::Permanent, Action::Temporary(None), Action::Refuse(http::StatusCode::BAD_GATEWAY)] {
                let world = lb(["a", "b"]).sticky(&sticky.replace("STRICT", "false"));
                let world = world.failover(|failover| match cause {
                    "down" => failover.down = action,
                    "maint" => failover.maint = action,
                    _ => failover.unknown = action,
                });
                let mut client = tied(&world, method);
                let world = match cause {
                    "down" => world.down("a"),
                    "maint" => world.maint("a"),
                    _ => world.without("a"),
                };
                let servers = client.visits(1).servers();
                match action {
                    Action::Refuse(_) => assert_eq!(servers, ["502"], "{method} {cause}"),
                    Action::Permanent | Action::Temporary(_) => assert_eq!(servers, ["b"], "{method} {cause}"),
                }
                let world = match cause {
                    "down" => world.up("a"),
                    "maint" => world.server("a", |server| server.admin = burdock::upstream::spec::Admin::Ready),
                    _ => continue,
                };
                let servers = client.visits(1).servers();
                // A prefix is written only when the application sets its cookie, and here it does not.
                let stays = action == Action::Permanent && *method != "prefix";
                assert_eq!(servers, [if stays { "b" } else { "a" }], "{method} {cause} {action:?}");
                let _ = world;
            }
        }
    }
}

#[test]
fn an_application_session_created_elsewhere_moves_every_entry() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, mode: prefix, token: plain}}, {header: {name: X, token: plain}}]");
    let lb = lb.failover(|failover| failover.down = Action::Temporary(None)).down("a").answers_with(SETS_COOKIE, "S=new");
    let mut client = lb.client().with_cookie("S", "a~old").keeps_header("x").with_header("x", "a");
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
    assert_eq!((client.cookie("S"), client.headers["x"].to_str().unwrap()), (Some("b~new"), "b"));
}
