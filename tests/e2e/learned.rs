//! Sessions that the application creates, on the wire: learned from its responses, found in requests, forgotten when the
//! application ends them.

mod moves;
mod unconfirmed;

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{Burdock, LogLine, Origin, Page, ReceivedRequest, Reply, Request, Site};
use crate::route_and_hash::bearer;

const TOMCAT: &str = "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}]";
const EVERYWHERE: &str = "sticky: [{learn: {create: [set_cookie:JSESSIONID, response_header:X-Session-Id], \
                          lookup: [cookie:JSESSIONID, header:X-Session-Id, query:sid, path_parameter:jsessionid, bearer_claim:sid]}}]";
const AT_END: &str = "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID, learn_at: end}}]";

/// An application that starts a session on request: `/login?LINE` and `/logout?LINE` set this cookie, `/app?NAME` sends this
/// X-Session-Id. Every other path gets a plain 200.
fn application(request: &ReceivedRequest) -> Reply {
    let query = request.target().split_once('?').map_or("", |(_, query)| query).replace("%20", " ").replace("%22", "\"");
    match request.path() {
        "/login" | "/logout" => Reply::with("Set-Cookie", &query),
        "/app" => Reply::with("X-Session-Id", &query),
        _ => Reply::status(200),
    }
}

fn applications<const COUNT: usize>(site: &Site) -> [Origin; COUNT] {
    let origins = site.origins();
    origins.iter().for_each(|origin: &Origin| origin.respond_with(application));
    origins
}

/// Starts a session with this id on whichever server is chosen; returns that server.
fn login(burdock: &Burdock, name: &str) -> String {
    burdock.get(&format!("/login?JSESSIONID={name}")).served_by().to_owned()
}

fn with_cookie(path: &str, name: &str) -> Request {
    Request::get(path).header("Cookie", &format!("theme=dark; JSESSIONID={name}"))
}

fn served(burdock: &Burdock, request: &Request) -> String {
    burdock.ask(request).served_by().to_owned()
}

/// The contents of all files under a directory.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![std::fs::read(path).unwrap()] }).collect()
}

fn words(line: &LogLine) -> [String; 3] {
    ["reason", "method", "settled"].map(|field| line.text(field))
}

/// The log's words for a request with this session id; the path must be new.
fn words_of(burdock: &Burdock, path: &str, name: &str) -> [String; 3] {
    burdock.ask(&with_cookie(path, name));
    words(&burdock.log_line(path))
}

#[test]
fn a_learned_session_sticks_and_its_cookie_passes_unchanged() {
    let site = Site::new();
    let _origins = applications::<3>(&site);
    let burdock = site.shop(3, TOMCAT);
    let mut homes = BTreeSet::new();
    for n in 0..6 {
        let mut client = burdock.client();
        let line = format!("JSESSIONID=\"A1B2C3D4-{n}\" ;path=/;  HTTPONLY;Comment=a,b");
        let first = client.get(&format!("/login?{}", line.replace(' ', "%20").replace('"', "%22")));
        assert_eq!(
            (first.set_cookies(), first.header("cache-control")),
            (vec![&*line], None),
            "the response passes unchanged"
        );
        for _ in 0..5 {
            let next = client.get("/next");
            assert_eq!((next.served_by(), next.set_cookies().len()), (first.served_by(), 0));
        }
        homes.insert(first.served_by().to_owned());
    }
    assert_eq!(homes.len(), 3, "sessions are balanced: {homes:?}");
    assert_eq!(words(&burdock.log_line("/login")), ["new", "none", "learned"]);
    assert_eq!(words(&burdock.log_line("/next")), ["hit", "learn", "kept"]);
}

#[test]
fn the_server_sees_the_session_id_exactly_as_sent() {
    let site = Site::new();
    let [origin] = applications::<1>(&site);
    let burdock = site.shop(1, EVERYWHERE);
    login(&burdock, "A1B2C3D4");
    burdock.ask(
        &with_cookie("/cart;jsessionid=A1B2C3D4/items?sid=A1B2C3D4&x=1", "A1B2C3D4").header("X-Session-Id", "A1B2C3D4"),
    );
    let seen = origin.last();
    assert_eq!(seen.target(), "/cart;jsessionid=A1B2C3D4/items?sid=A1B2C3D4&x=1");
    assert_eq!((seen.all("cookie"), seen.all("x-session-id")), (vec!["theme=dark; JSESSIONID=A1B2C3D4"], vec!["A1B2C3D4"]));
}

#[test]
fn all_lookup_sources_find_the_same_session() {
    let site = Site::new();
    let _origins = applications::<4>(&site);
    let burdock = site.shop(4, EVERYWHERE);
    let mut homes = BTreeSet::new();
    for n in 0..8 {
        let id = format!("5E55-10-{n}");
        let first = if n % 2 == 0 { login(&burdock, &id) } else { served(&burdock, &Request::get(&format!("/app?{id}"))) };
        for (nth, request) in [
            with_cookie("/cookie", &id),
            Request::get("/header").header("X-Session-Id", &id),
            Request::get(&format!("/query?a=1&sid={id}")),
            Request::get(&format!("/path;v=1;jsessionid={id}/cart?sid=")),
            Request::get("/claim").header("Authorization", &bearer("sid", &id)),
        ]
        .iter()
        .enumerate()
        {
            assert_eq!(served(&burdock, request), first, "{nth}");
        }
        homes.insert(first);
    }
    assert_eq!(homes.len(), 4);
    for path in ["/cookie", "/header", "/query", "/path/cart", "/claim"] {
        assert_eq!(words(&burdock.log_line(path)), ["hit", "learn", "kept"], "{path}");
    }
}

#[test]
fn a_session_that_the_application_ends_is_forgotten() {
    let site = Site::new();
    let _origins = applications::<3>(&site);
    let burdock = site.shop(3, TOMCAT);
    for (n, deletion) in
        ["JSESSIONID=;%20Path=/;%20Max-Age=0", "JSESSIONID=x;%20expires=Thu,%2001-Jan-1970%2000:00:01%20GMT"]
            .into_iter()
            .enumerate()
    {
        let name = format!("A1B2C3D4-{n}");
        let home = login(&burdock, &name);
        let ended = burdock.ask(&with_cookie(&format!("/logout?{deletion}"), &name));
        assert_eq!((ended.served_by(), ended.set_cookies()), (&*home, vec![&*deletion.replace("%20", " ")]));
        assert_eq!(words_of(&burdock, &format!("/after/{n}"), &name), ["new", "none", "none"]);
    }
    let ends = burdock.access_log(6).into_iter().filter(|line| line.text("path") == "/logout");
    assert_eq!(ends.map(|line| words(&line)).collect::<Vec<_>>(), vec![["hit", "learn", "forgotten"]; 2]);
}

#[test]
fn learn_at_end_learns_only_from_complete_responses() {
    let site = Site::new();
    let [origin] = applications::<1>(&site);
    let burdock = site.shop(1, AT_END);
    let begins = "HTTP/1.1 200 OK\r\nX-Served-By: web-1\r\nSet-Cookie: JSESSIONID=";
    for (nth, (rest, whole)) in [
        ("Content-Length: 9\r\n\r\ncut", false),
        ("Transfer-Encoding: chunked\r\n\r\n9\r\ncut", false),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nall\r\n", false),
        ("Content-Length: 3\r\n\r\nall", true),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n", true),
        ("Connection: close\r\n\r\nall", true),
        ("Content-Length: 0\r\n\r\n", true),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("A1B2C3D4-{nth}");
        let bytes = format!("{begins}{name}\r\n{rest}").into_bytes();
        origin.respond_with(move |_| Reply::Last(bytes.clone()));
        let path = format!("/begins/{nth}");
        let first = burdock.wire().try_ask(&Request::get(&path));
        assert_eq!(first.is_ok(), whole, "{rest:?}");
        let line = burdock.log_line(&path);
        assert_eq!(words(&line), ["new", "none", if whole { "learned" } else { "none" }], "{rest:?}");
        origin.respond_with(application);
        let after = words_of(&burdock, &format!("/after/{nth}"), &name);
        assert_eq!(after, if whole { ["hit", "learn", "kept"] } else { ["new", "none", "none"] }, "{rest:?}");
    }
}

#[test]
fn by_default_a_session_is_learned_from_the_response_head() {
    let site = Site::new();
    let origins = applications::<3>(&site);
    let head = "HTTP/1.1 200 OK\r\nX-Served-By: NAME\r\nTransfer-Encoding: chunked\r\nSet-Cookie: JSESSIONID=A1B2C3D4\r\n\r\n9\r\nhal";
    for origin in &origins {
        let bytes = head.replace("NAME", &origin.name).into_bytes();
        origin.respond_with(
            move |request| if request.path() == "/slow" { Reply::Raw(bytes.clone()) } else { application(request) },
        );
    }
    let burdock = site.shop(3, TOMCAT);
    let mut slow = burdock.wire();
    slow.send(Request::get("/slow").bytes());
    let first = slow.head().unwrap();
    let home =
        first.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-served-by: ").map(str::to_owned)).unwrap();
    (0..4).for_each(|_| assert_eq!(served(&burdock, &with_cookie("/", "A1B2C3D4")), home));
}

#[test]
fn upstreams_share_sessions_only_through_a_common_table() {
    let site = Site::new();
    let origins: Vec<_> = [1, 2, 3, 11, 12, 13, 21, 22, 23].map(|n| site.origin(n)).into();
    origins.iter().for_each(|origin| origin.respond_with(application));
    let upstream = |name: &str, tens: u16, table: &str| {
        let servers: String = (1..4).map(|n| format!("{{id: s{n}, address: '$IP:{}'}}, ", 9_000 + tens + n)).collect();
        let learn = format!("{{create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID, table: {table}}}");
        format!("  {name}: {{servers: [{servers}], sticky: [{{learn: {learn}}}]}}\n")
    };
    let upstreams = upstream("shop", 0, "sessions") + &upstream("cart", 10, "sessions") + &upstream("blog", 20, "others");
    let routes = "routes:
  - {match: {path_prefix: /cart}, upstream: cart}
  - {match: {path_prefix: /blog}, upstream: blog}
  - {match: {path_prefix: /}, upstream: shop}
";
    let burdock = site.burdock(&format!("tables: {{sessions: {{}}, others: {{}}}}\nupstreams:\n{upstreams}{routes}"));
    for n in 0..6 {
        let name = format!("A1B2C3D4-{n}");
        let home = login(&burdock, &name);
        assert_eq!(served(&burdock, &with_cookie("/cart", &name)), home.replace("web-", "web-1"));
        assert_eq!(words_of(&burdock, &format!("/blog/{n}"), &name), ["new", "none", "none"]);
    }
    assert_eq!(words(&burdock.log_line("/cart")), ["hit", "learn", "kept"]);
}

#[test]
fn session_ids_never_reach_logs_metrics_or_the_disk() {
    let site = Site::new();
    let origins = applications::<2>(&site);
    let sticky = "sticky: [{learn: {create: [set_cookie:JSESSIONID, response_header:X-Session-Id], \
                 create_from_requests: [query:user, path_parameter:u], \
                 lookup: [cookie:JSESSIONID, header:X-Session-Id, query:sid, path_parameter:jsessionid, bearer_claim:sid]}}]";
    let mut burdock = site.shop(2, sticky);
    let start = |name: &str, value: &str| Reply::from(Page::new(200).header(name, value));
    for origin in &origins {
        origin.respond_with(move |request| match request.path() {
            "/web" => start("Set-Cookie", "JSESSIONID=SECRET-SESSION; Path=/"),
            "/mobile" => start("X-Session-Id", "SECRET-SESSION"),
            _ => Reply::status(200),
        });
    }
    for request in [
        Request::get("/web"),
        Request::get("/mobile"),
        with_cookie("/cookie", "SECRET-SESSION"),
        Request::get("/header").header("X-Session-Id", "SECRET-SESSION"),
        Request::get("/cart;jsessionid=SECRET-SESSION?sid=SECRET-SESSION"),
        Request::get("/user;u=SECRET-USER/x?user=SECRET-USER"),
        Request::get("/claim").header("Authorization", &bearer("sid", "SECRET-SESSION")),
    ] {
        assert_eq!(burdock.ask(&request).status, 200);
    }
    burdock.access_log(7);
    let log = std::fs::read_to_string(site.path("access.log")).unwrap();
    assert!(log.contains("/user/x") && log.contains("/cart"), "{log}");
    for text in [log, burdock.stderr(), burdock.stdout(), burdock.exposition()] {
        assert!(!text.contains("SECRET") && !text.contains("eyJ"), "{text}");
    }
    burdock.signal("TERM");
    burdock.wait_for_exit_and_output();
    let stored = files(&site.path("state"));
    assert!(stored.iter().map(Vec::len).sum::<usize>() > 100, "the sessions are on disk");
    assert!(!stored.iter().any(|file| file.windows(6).any(|six| six == b"SECRET")));
}
