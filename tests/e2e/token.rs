//! The sealed cookie against forgery, tampering and overlong use. The client is always served; the log's reason names the problem.

use crate::harness::{Burdock, Reply, Request, Response, Site, TokenCodec};

const LIMITS: &str = "sticky: [{cookie: {idle_timeout: 30m, max_life: 8h}}]";

fn shop(site: &Site, keys: &str, settings: &str) -> Burdock {
    site.burdock(&format!("keys: {keys}\n{}", crate::harness::shop(2, settings)))
}

/// Sends a request with this value of our cookie; returns the response and the logged reason.
fn ask(burdock: &Burdock, path: &str, token: &str) -> (Response, String) {
    let response = burdock.ask(&Request::get(path).header("Cookie", &format!("BURDOCK_shop={token}")));
    let reason = burdock.log_line(path).reason();
    (response, reason)
}

/// The request is served with this reason and a new cookie.
fn is_replaced(burdock: &Burdock, path: &str, token: &str, reason: &str) {
    let (response, logged) = ask(burdock, path, token);
    assert_eq!((response.status, &*logged), (200, reason), "{token}");
    let replacement = response.cookie("BURDOCK_shop").unwrap_or_else(|| panic!("no new cookie: {response:?}")).1;
    assert_ne!(replacement, token);
}

#[test]
fn tampered_or_forged_cookies_are_replaced() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let token = codec.token("web-1", 10, 10);
    for at in [0, 8, 30, 50, 75] {
        let changed: String =
            token.char_indices().map(|(n, c)| if n == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
        let reason = if (1..7).contains(&at) { "unknown_key" } else { "bad_token" };
        is_replaced(&burdock, &format!("/changed/{at}"), &changed, reason);
    }
    for (path, forged) in [("/empty", ""), ("/short", &token[..75]), ("/name", "web-1"), ("/long", &"A".repeat(4000))] {
        is_replaced(&burdock, path, forged, "bad_token");
    }
}

#[test]
fn a_cookie_of_another_upstream_is_replaced() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let key = std::fs::read_to_string(site.path("key")).unwrap();
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    assert_eq!(ask(&burdock, "/own", &codec.token("web-1", 10, 10)).1, "hit");
    is_replaced(&burdock, "/other", &TokenCodec::with_key(&key, "blog").token("web-1", 10, 10), "bad_token");
}

#[test]
fn a_cookie_sealed_with_a_foreign_key_is_replaced() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    TokenCodec::new(&site, "key", "shop");
    let stranger = TokenCodec::new(&site, "other", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    is_replaced(&burdock, "/", &stranger.token("web-1", 10, 10), "unknown_key");
}

#[test]
fn a_rotated_key_opens_and_the_first_key_seals() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let (old, new) = (TokenCodec::new(&site, "old", "shop"), TokenCodec::new(&site, "new", "shop"));
    let burdock = shop(&site, "[{file: $DIR/new}, {file: $DIR/old}]", LIMITS);
    let (response, reason) = ask(&burdock, "/", &old.token("web-2", 10, 10));
    assert_eq!((response.served_by(), &*reason), ("web-2", "hit"));
    let newcomer = burdock.get("/new");
    let payload = new.open(newcomer.cookie("BURDOCK_shop").unwrap().1).unwrap();
    assert_eq!(payload.server, new.tag(newcomer.served_by()));
}

#[test]
fn cookies_survive_a_restart_with_the_same_key() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let mut burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let mut client = burdock.client();
    let home = client.get("/").served_by().to_owned();
    assert!(codec.open(client.token()).is_ok());
    burdock.kill();
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let again = client.get("/again");
    assert_eq!((again.served_by(), burdock.log_line("/again").reason()), (&*home, "hit".to_owned()));
}

#[test]
fn a_generated_key_is_private_persistent_and_warned_about() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let mut burdock = site.shop(2, "sticky: cookie");
    let mut client = burdock.client();
    let home = client.get("/").served_by().to_owned();
    assert!(burdock.stderr().to_ascii_lowercase().contains("key"), "no warning: {}", burdock.stderr());
    let modes: Vec<_> = std::fs::read_dir(site.path("state")).unwrap().map(|entry| mode(&entry.unwrap().path())).collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| mode & 0o77 == 0), "{modes:?}");
    burdock.kill();
    let burdock = site.shop(2, "sticky: cookie");
    assert_eq!(client.get("/again").served_by(), home);
    assert_eq!(burdock.log_line("/again").reason(), "hit");
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode()
}

#[test]
fn a_session_past_its_idle_timeout_starts_over() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    is_replaced(&burdock, "/late", &codec.token("web-1", 2 * 3600, 33 * 60 + 5), "expired_idle");
    let (response, reason) = ask(&burdock, "/tenth", &codec.token("web-1", 2 * 3600, 33 * 60 - 20));
    assert_eq!((response.served_by(), &*reason), ("web-1", "hit"), "a tenth of the timeout is tolerated");
}

#[test]
fn a_session_past_its_max_life_starts_over() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    is_replaced(&burdock, "/old", &codec.token("web-1", 8 * 3600 + 5, 5), "expired_life");
    assert_eq!(ask(&burdock, "/young", &codec.token("web-1", 8 * 3600 - 60, 5)).1, "hit");
}

#[test]
fn a_renewal_keeps_the_session_number_and_issue_time() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let due = codec.token("web-2", 3600, 4 * 60);
    let before = codec.open(&due).unwrap();
    let (response, reason) = ask(&burdock, "/due", &due);
    assert_eq!((&*reason, burdock.log_line("/due").text("settled")), ("hit", "renewed".to_owned()));
    let after = codec.open(response.cookie("BURDOCK_shop").unwrap().1).unwrap();
    assert_eq!((after.server, after.session, after.stamps.issued), (before.server, before.session, before.stamps.issued));
    assert!(after.stamps.seen > before.stamps.seen);
}

#[test]
fn a_cookie_not_due_for_renewal_is_left_alone() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let (response, _) = ask(&burdock, "/fresh", &codec.token("web-2", 3600, 2 * 60));
    assert!(response.set_cookies().is_empty(), "{response:?}");
    assert_eq!(burdock.log_line("/fresh").text("settled"), "kept");
}

#[test]
fn timestamps_in_the_future_count_as_now() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let ahead = 600_u32.wrapping_neg();
    assert_eq!(ask(&burdock, "/ahead", &codec.token("web-2", ahead, ahead)).1, "hit");
}

#[test]
fn a_valid_cookie_wins_over_a_forged_one() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let good = codec.token("web-2", 10, 10);
    let cookies = format!("BURDOCK_shop=forged; BURDOCK_shop={good}");
    let response = burdock.ask(&Request::get("/two").header("Cookie", &cookies));
    assert_eq!((response.served_by(), burdock.log_line("/two").reason()), ("web-2", "hit".to_owned()));
}

#[test]
fn a_token_of_an_unknown_server_is_placed_consistently() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let gone = codec.token("web-9", 10, 10);
    let (first, reason) = ask(&burdock, "/gone/0", &gone);
    assert_eq!(reason, "unknown_server");
    for n in 1..6 {
        assert_eq!(ask(&burdock, &format!("/gone/{n}"), &gone).0.served_by(), first.served_by(), "parallel requests agree");
    }
}

#[test]
fn only_four_cookies_of_our_name_are_tried_and_all_are_hidden() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let cookies =
        |bad: usize| format!("{}BURDOCK_shop={}", "BURDOCK_shop=forged; ".repeat(bad), codec.token("web-2", 10, 10));
    let reason = |path: &str, bad: usize| {
        assert_eq!(burdock.ask(&Request::get(path).header("Cookie", &cookies(bad))).status, 200);
        burdock.log_line(path).reason()
    };
    assert_eq!(reason("/fourth", 3), "hit");
    assert_eq!(reason("/fifth", 4), "bad_token");
    assert!(origins.iter().flat_map(|origin| origin.received()).all(|request| request.header("cookie").is_none()));
}

#[test]
fn a_5xx_response_still_renews_and_moves_ties() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    origins.iter().for_each(|origin| origin.respond_with(|_| Reply::status(500)));
    let due = ask(&burdock, "/due", &codec.token("web-2", 3600, 4 * 60)).0;
    assert_eq!((due.status, due.set_cookies().len()), (500, 1));
    let moved = ask(&burdock, "/moved", &codec.token("web-9", 10, 10)).0;
    assert_eq!((moved.status, moved.set_cookies().len()), (500, 1));
    assert_eq!(burdock.log_line("/moved").text("settled"), "rewritten");
}

#[test]
fn a_cors_preflight_renews_no_cookie() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = shop(&site, "[{file: $DIR/key}]", LIMITS);
    let preflight = Request::new("OPTIONS", "/")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "PUT")
        .header("Cookie", &format!("BURDOCK_shop={}", codec.token("web-2", 3600, 4 * 60)));
    let response = burdock.ask(&preflight);
    assert_eq!((response.served_by(), response.set_cookies().len()), ("web-2", 0));
}

#[test]
fn a_sticky_scope_keeps_ties_when_an_upstream_is_renamed() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let renamed = crate::harness::shop(2, "sticky: cookie\nsticky_scope: shop").replace("  shop:\n", "  store:\n");
    let burdock = site.burdock(&format!("keys: [{{file: $DIR/key}}]\n{renamed}"));
    let (response, reason) = ask(&burdock, "/renamed", &codec.token("web-2", 10, 10));
    assert_eq!((response.served_by(), &*reason), ("web-2", "hit"));
    assert_eq!(burdock.log_line("/renamed").text("upstream"), "store");
}

#[test]
fn a_key_may_come_from_the_environment() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let codec = TokenCodec::new(&site, "key", "shop");
    let key = std::fs::read_to_string(site.path("key")).unwrap();
    let burdock = Burdock::start_with(
        &site,
        &format!("keys: [{{env: BURDOCK_TEST_KEY}}]\n{}", crate::harness::shop(2, LIMITS)),
        ("BURDOCK_TEST_KEY", &key),
    );
    assert_eq!(ask(&burdock, "/", &codec.token("web-2", 10, 10)).1, "hit");
}
