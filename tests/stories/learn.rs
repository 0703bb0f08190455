//! Sessions that the application creates: learned from its responses, looked up in requests, kept in a table.

use burdock::upstream::failover::Action;

use crate::language::{Lb, SETS_COOKIE, lb};

const JSESSIONID: &str = "[{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}]";
const WEB_AND_MOBILE: &str = "[{learn: {create: ['set_cookie:JSESSIONID', 'response_header:X-Session-Id'], \
                              lookup: ['cookie:JSESSIONID', 'header:X-Session-Id', 'query:sid']}}]";

fn tomcat() -> Lb {
    lb(["a", "b", "c"]).sticky(JSESSIONID).answers_with(SETS_COOKIE, "JSESSIONID=A1B2C3D4; Path=/")
}

#[test]
fn a_session_is_learned_from_the_applications_response() {
    let lb = tomcat();
    let mut client = lb.client();
    let visit = client.visits(1).was_served_by(["a"]).because(["new"]).settled(["learned"]).only();
    assert_eq!(visit.received[SETS_COOKIE], "JSESSIONID=A1B2C3D4; Path=/", "the application's cookie is unchanged");
    let _ = lb.clone().answers_without_headers();
    let visit = client.visits(3).was_served_by(["a"; 3]).because(["hit"; 3]).settled(["kept"; 3]).last();
    assert_eq!((visit.method, visit.seen["cookie"].to_str().unwrap()), ("learn", "JSESSIONID=A1B2C3D4"));
    assert_eq!(lb.learned(), 1);
}

#[test]
fn a_name_the_application_never_set_creates_nothing() {
    let lb = lb(["a", "b"]).sticky(JSESSIONID);
    for n in 0..100 {
        lb.client().with_cookie("JSESSIONID", &format!("forged-{n}")).visits(1).because(["new"]).settled(["none"]);
    }
    assert_eq!(lb.learned(), 0);
}

#[test]
fn parallel_requests_with_an_unlearned_name_agree() {
    let lb = lb(["a", "b", "c", "d"]).sticky(JSESSIONID);
    let mut used = std::collections::BTreeSet::new();
    for n in 0..60 {
        let serve = || lb.client().with_cookie("JSESSIONID", &format!("fresh-name-{n}")).visits(1).servers().remove(0);
        let first = serve();
        assert!((0..15).all(|_| serve() == first));
        used.insert(first);
    }
    assert_eq!(used.len(), 4);
}

#[test]
fn a_mobile_client_and_a_browser_share_a_session_by_its_name() {
    let lb = lb(["a", "b", "c"]).sticky(WEB_AND_MOBILE).answers_with("x-session-id", "mobile-session-1");
    let mut app = lb.client().without_cookies().keeps_header("x-session-id");
    app.visits(1).was_served_by(["a"]).settled(["learned"]);
    let lb = lb.answers_without_headers();
    app.visits(2).was_served_by(["a", "a"]).because(["hit", "hit"]);
    lb.client().with_cookie("JSESSIONID", "mobile-session-1").visits(1).was_served_by(["a"]);
    let lb = lb.with_target("/?sid=mobile-session-1");
    lb.client().visits(1).was_served_by(["a"]).because(["hit"]);
}

#[test]
fn every_cookie_of_the_name_is_looked_up() {
    let lb = tomcat();
    lb.client().visits(1).was_served_by(["a"]);
    let lb = lb.answers_without_headers();
    for line in ["JSESSIONID=of-another-path; JSESSIONID=A1B2C3D4", "JSESSIONID=A1B2C3D4; JSESSIONID=of-another-path"] {
        lb.client().with_header("cookie", line).visits(3).was_served_by(["a"; 3]).because(["hit"; 3]);
    }
}

#[test]
fn short_or_deleted_values_are_not_names() {
    for value in ["", "1234567", "deleted", "DELETED", "\"\""] {
        let lb = lb(["a", "b"]).sticky(JSESSIONID).answers_with(SETS_COOKIE, "x=1");
        let lb = lb.answers_only_with(SETS_COOKIE, &format!("JSESSIONID={value}"));
        lb.client().visits(1).settled(["none"]);
        assert_eq!(lb.learned(), 0, "{value}");
    }
}

#[test]
fn a_deleted_cookie_forgets_the_learned_session() {
    for deletion in ["JSESSIONID=; Max-Age=0", "JSESSIONID=A1B2C3D4; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        let lb = tomcat();
        let mut client = lb.client();
        client.visits(1);
        let lb = lb.answers_only_with(SETS_COOKIE, deletion);
        let mut same = lb.client().with_cookie("JSESSIONID", "A1B2C3D4");
        same.visits(1).because(["hit"]).settled(["forgotten"]);
        assert_eq!(lb.learned(), 0);
        lb.client().with_cookie("JSESSIONID", "A1B2C3D4").visits(1).because(["new"]);
    }
}

#[test]
fn a_learned_session_expires_only_when_idle() {
    let lb = tomcat().sticky_with_tables(JSESSIONID, "{shop: {idle_timeout: 10m}}");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.answers_without_headers();
    for _ in 0..5 {
        let _ = lb.clone().after(9 * 60);
        client.visits(1).because(["hit"]);
    }
    let _ = lb.after(11 * 60 + 2);
    client.visits(1).because(["expired_idle"]);
}

#[test]
fn a_step_of_the_clock_ends_no_learned_session() {
    let lb = tomcat().sticky_with_tables(JSESSIONID, "{shop: {idle_timeout: 10m}}");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.answers_without_headers().after(60).steps(86_400).after(9 * 60);
    client.visits(1).because(["hit"]);
    let _ = lb.after(11 * 60 + 2);
    client.visits(1).because(["expired_idle"]);
}

#[test]
fn a_learned_session_ends_at_max_life() {
    let lb = tomcat().sticky_with_tables(JSESSIONID, "{shop: {idle_timeout: none, max_life: 1h}}");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.answers_without_headers().after(3_599);
    client.visits(1).because(["hit"]);
    let _ = lb.after(1);
    client.visits(1).because(["expired_life"]);
}

#[test]
fn a_learned_session_of_a_down_server_moves_for_good() {
    let lb = tomcat();
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_without_headers().down("a");
    let visit = client.visits(1).because(["down"]).settled(["rewritten"]).only();
    assert_eq!(
        (visit.moved, visit.seen["burdock-affinity"].to_str().unwrap()),
        (Some("down"), "moved; from=a; reason=down")
    );
    let _ = lb.up("a");
    client.visits(2).was_served_by([&*visit.server, &*visit.server]).because(["hit", "hit"]);
}

#[test]
fn a_detour_keeps_the_table_until_the_substitute_creates_a_session() {
    let lb = tomcat().failover(|failover| failover.down = Action::Temporary(None));
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_without_headers().down("a");
    let substitute = client.visits(1).because(["down"]).settled(["none"]).servers().remove(0);
    let lb = lb.up("a");
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let lb = lb.down("a").answers_only_with(SETS_COOKIE, "JSESSIONID=B2C3D4E5");
    client.visits(1).was_served_by([&*substitute]).because(["down"]).settled(["rewritten"]);
    let _ = lb.answers_without_headers().up("a");
    client.visits(1).was_served_by([&*substitute]).because(["hit"]);
}

#[test]
fn a_session_recreated_on_another_server_moves_there() {
    let lb = tomcat();
    lb.client().visits(1).was_served_by(["a"]);
    lb.client().visits(1).was_served_by(["b"]).settled(["rewritten"]);
    let _ = lb.clone().answers_without_headers();
    lb.client().with_cookie("JSESSIONID", "A1B2C3D4").visits(1).was_served_by(["b"]).because(["hit"]);
}

#[test]
fn a_learned_session_of_a_removed_server_moves_as_unknown_server() {
    let lb = tomcat();
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_without_headers().without("a");
    client.visits(2).because(["unknown_server", "hit"]).settled(["rewritten", "kept"]);
    let _ = lb;
}

#[test]
fn a_reload_keeps_the_learned_sessions() {
    let lb = tomcat();
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb
        .answers_without_headers()
        .sticky_with_tables(JSESSIONID, "{shop: {capacity: 500, idle_timeout: 2h}}")
        .weight("b", 3);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let _ = lb;
}

#[test]
fn a_server_error_learns_nothing() {
    let lb = tomcat().answers(500);
    lb.client().visits(1).settled(["none"]);
    assert_eq!(lb.learned(), 0);
}

#[test]
fn learn_at_end_needs_a_complete_response() {
    let at_end = "[{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', learn_at: end}}]";
    let lb = tomcat().sticky(at_end);
    lb.client().disconnecting_early().visits(1).settled(["none"]);
    assert_eq!(lb.learned(), 0);
    let mut client = lb.client();
    client.visits(1).settled(["learned"]);
    assert_eq!(lb.learned(), 1);
    client.visits(2).because(["hit"; 2]).settled(["kept"; 2]);
}

#[test]
fn a_request_refreshes_every_name_it_carries() {
    let lb = lb(["a", "b"]).sticky_with_tables(WEB_AND_MOBILE, "{shop: {idle_timeout: 10m}}");
    let begin = |name, value: &'static str| lb.clone().answers_only_with(name, value);
    let _ = begin(SETS_COOKIE, "JSESSIONID=A1B2C3D4");
    let mut both = lb.client().keeps_header("x-session-id");
    let home = both.visits(1).servers().remove(0);
    let _ = begin("x-session-id", "mobile-session-1");
    both.visits(1).was_served_by([&*home]).settled(["learned"]);
    let lb = lb.answers_without_headers();
    for _ in 0..3 {
        let _ = lb.clone().after(9 * 60);
        both.visits(1).was_served_by([&*home]).because(["hit"]);
    }
    lb.client().with_header("x-session-id", "mobile-session-1").visits(1).was_served_by([&*home]).because(["hit"]);
}

#[test]
fn create_from_requests_learns_from_a_request() {
    let asked = "[{learn: {create_from_requests: 'query:user', lookup: 'query:user', min_length: 3}}]";
    let lb = lb(["a", "b"]).sticky(asked).with_target("/?user=ann");
    let first = lb.client().visits(1).settled(["learned"]).servers().remove(0);
    lb.client().visits(1).was_served_by([&*first]).because(["hit"]);
}

#[test]
fn an_application_moves_and_releases_a_learned_session() {
    let lb = tomcat().affinity("{obey: [release, move_to]}");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.answers_only_with("burdock-affinity", "move-to=c");
    let visit = client.visits(1).was_served_by(["a"]).settled(["rewritten"]).only();
    assert_eq!(visit.moved, Some("application"));
    let lb = lb.answers_only_with("burdock-affinity", "release");
    client.visits(1).was_served_by(["c"]).settled(["forgotten"]);
    assert_eq!(lb.learned(), 0);
}

#[test]
fn burdocks_cookie_and_a_learned_name_agree() {
    let chain =
        "[{cookie: {name: S, token: plain}}, {learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}]";
    let lb = lb(["a", "b", "c"]).sticky(chain).answers_with(SETS_COOKIE, "JSESSIONID=A1B2C3D4");
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]).settled(["inserted"]);
    assert_eq!(client.cookie("S"), Some("a"));
    let lb = lb.answers_without_headers();
    let visit = lb.client().with_cookie("JSESSIONID", "A1B2C3D4").visits(1).was_served_by(["a"]).because(["hit"]).only();
    assert_eq!((visit.method, visit.set_cookie.len()), ("learn", 0), "the learned name already holds the session");
    let mut client = lb.client().with_cookie("JSESSIONID", "A1B2C3D4").with_cookie("S", "b");
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
    lb.client().with_cookie("JSESSIONID", "A1B2C3D4").visits(1).was_served_by(["b"]).because(["hit"]);
}

#[test]
fn a_strict_learned_session_is_refused() {
    let strict = "[{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', strict: true}}]";
    let lb = tomcat().sticky(strict);
    let mut client = lb.client();
    client.visits(1);
    let _ = lb.down("a");
    client.visits(1).was_served_by(["503"]).because(["refused"]);
}

#[test]
fn a_full_table_evicts_and_never_refuses() {
    let lb = tomcat().sticky_with_tables(JSESSIONID, "{shop: {capacity: 1000}}");
    for n in 0..100_000 {
        let _ = lb.clone().answers_only_with(SETS_COOKIE, &format!("JSESSIONID=session-{n:06}"));
        lb.client().visits(1).settled(["learned"]);
    }
    assert!((1_000..60_000).contains(&lb.learned()), "{}", lb.learned());
}

#[test]
fn sessions_are_counted_per_server() {
    let chain = "[{cookie: {idle_timeout: 10m}}, {learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}]";
    let lb = lb(["a", "b"]).sticky(chain);
    let mut clients: Vec<_> = (0..40).map(|n| (n, lb.client())).collect();
    for (n, client) in &mut clients {
        let _ = lb.clone().answers_only_with(SETS_COOKIE, &format!("JSESSIONID=session-{n:03}"));
        client.visits(1);
    }
    for server in ["a", "b"] {
        assert_eq!(lb.sessions(server), (Some(20), Some(20)));
    }
    let lb = lb.answers_without_headers().after(20 * 60).weight("a", 2);
    assert_eq!(
        lb.sessions("a"),
        (Some(20), Some(0)),
        "the table's idle time of an hour is longer than the token's ten minutes"
    );
    let lb = lb.after(3_600);
    assert_eq!(lb.sessions("a"), (Some(0), Some(0)));
    assert_eq!(lb.sticky("[{hash: {key: client_ip}}]").sessions("a"), (None, None));
}

#[test]
fn entries_that_share_a_table_count_its_sessions_once() {
    let chain = "[{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}, \
                 {learn: {create: 'response_header:X-Session-Id', lookup: 'header:X-Session-Id'}}]";
    let lb = lb(["a"]).sticky(chain).answers_with(SETS_COOKIE, "JSESSIONID=A1B2C3D4");
    lb.client().visits(1);
    assert_eq!(lb.sessions("a"), (Some(1), None));
}
