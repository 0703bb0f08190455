//! Access to the admin service: by the socket, or at the address with the token.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Burdock, Request, Response, Site, Successor, Wire, shop, with_json};

pub const TOKEN: &str = "a-token-that-is-very-hard-to-guess";
const WITH_TOKEN: &str = "admin: {address: $IP:9180, token_file: $DIR/token}\n";

pub fn write_token(site: &Site, token: &str) -> PathBuf {
    let path = site.write("token", token);
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// A Burdock that also serves the API at its address.
pub fn open(site: &Site, settings: &str) -> Burdock {
    write_token(site, TOKEN);
    site.burdock(&format!("{WITH_TOKEN}{}", shop(2, settings)))
}

fn ask(burdock: &Burdock, request: Request) -> Response {
    Wire::open(burdock.admin).ask(&request)
}

fn to(burdock: &Burdock, path: &str) -> Request {
    Request::get(path).header("Host", &burdock.admin.to_string())
}

fn with_token(request: Request, token: &str) -> Request {
    request.header("Authorization", &format!("Bearer {token}"))
}

fn check_problem(response: &Response, status: u16) -> String {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{response:?}");
    let problem = response.json();
    assert_eq!((problem["status"].as_u64(), problem["type"].as_str()), (Some(status.into()), Some("about:blank")));
    problem["detail"].as_str().unwrap().to_owned()
}

#[test]
fn the_admin_socket_is_private_and_removed_at_shutdown() {
    let site = Site::new();
    let mut burdock = site.shop(1, "sticky: cookie");
    assert_eq!(std::fs::metadata(site.socket()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(burdock.api().get("/version")["pid"], burdock.pid());
    burdock.signal("TERM");
    burdock.wait_for_exit_and_output();
    assert!(!site.socket().exists());
    let files: Vec<_> = std::fs::read_dir(site.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["burdock.pid"]);
}

#[test]
fn a_socket_left_by_a_killed_process_is_replaced() {
    let site = Site::new();
    let mut first = site.shop(1, "sticky: cookie");
    first.kill();
    assert!(site.socket().exists());
    let second = site.shop(1, "sticky: cookie");
    assert_eq!(second.api().get("/version")["pid"], second.pid());
}

#[test]
fn a_new_process_takes_over_the_socket_and_keeps_it() {
    let site = Site::new();
    let yaml = shop(1, "sticky: cookie");
    let mut first = site.burdock(&yaml);
    let second = Successor::of(&first);
    assert_eq!(second.api().get("/version")["pid"], second.pid());
    first.wait_for_exit();
    assert_eq!(second.api().get("/version")["pid"], second.pid());
}

#[test]
fn the_admin_socket_can_be_disabled_or_moved() {
    let site = Site::new();
    let none = site.burdock(&format!("admin: {{address: $IP:9180, socket: none}}\n{}", shop(1, "sticky: cookie")));
    assert!(!site.socket().exists());
    drop(none);
    let _elsewhere = site.burdock(&format!("admin: {{address: $IP:9180, socket: $DIR/other.sock}}\n{}", shop(1, "")));
    assert!(site.path("other.sock").exists() && !site.socket().exists());
}

#[test]
fn an_admin_socket_that_cannot_be_created_prevents_startup() {
    let site = Site::new();
    let yaml = format!("admin: {{address: $IP:9180, socket: /nonexistent/admin.sock}}\n{}", shop(1, "sticky: cookie"));
    let mut burdock = Burdock::launch(&site, &yaml, &[]);
    assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1));
    assert!(burdock.stderr().contains("/nonexistent/admin.sock"), "{}", burdock.stderr());
}

#[test]
fn a_token_file_readable_by_others_prevents_startup() {
    let site = Site::new();
    std::fs::set_permissions(site.write("token", TOKEN), Permissions::from_mode(0o644)).unwrap();
    let mut burdock = Burdock::launch(&site, &format!("{WITH_TOKEN}{}", shop(1, "sticky: cookie")), &[]);
    assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1));
    assert!(burdock.stderr().contains("chmod 600"), "{}", burdock.stderr());
}

#[test]
fn without_a_token_file_the_address_refuses_the_api_with_a_hint() {
    let site = Site::new();
    let burdock = site.shop(1, "sticky: cookie");
    let refused = ask(&burdock, with_token(to(&burdock, "/api/v1/version"), TOKEN));
    assert!(check_problem(&refused, 404).contains("admin.token_file"));
    assert_eq!(ask(&burdock, to(&burdock, "/healthz")).status, 200);
}

#[test]
fn the_admin_address_serves_the_api_only_with_the_token() {
    let site = Site::new();
    let burdock = open(&site, "sticky: cookie");
    let version = || to(&burdock, "/api/v1/version");
    let accepted = ask(&burdock, with_token(version(), TOKEN));
    assert_eq!(accepted.json()["pid"], burdock.pid());
    let wrong = ["", "b-token-that-is-very-hard-to-guess", &TOKEN[1..], "a-token-that-is-very-hard-to-guess-"];
    for refused in wrong.map(|token| with_token(version(), token)).into_iter().chain([version()]) {
        let refused = ask(&burdock, refused);
        check_problem(&refused, 401);
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let basic = version().header("Authorization", &format!("Basic  {TOKEN}"));
    check_problem(&ask(&burdock, basic), 401);
    for open in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(&burdock, Request::get(open).header("Host", "any.example")).status, 200);
    }
    assert!(!burdock.stderr().contains(TOKEN));
}

#[test]
fn a_foreign_host_is_refused_even_with_the_token() {
    let site = Site::new();
    let burdock = open(&site, "sticky: cookie");
    for host in ["rebound.example", "rebound.example:9180", "localhost:9180", &burdock.admin.ip().to_string()] {
        let request = with_token(Request::get("/api/v1/version").header("Host", host), TOKEN);
        check_problem(&ask(&burdock, request), 421);
    }
}

#[test]
fn a_cross_origin_request_is_refused_even_with_the_token() {
    let site = Site::new();
    let burdock = open(&site, "sticky: cookie");
    let from_page = with_token(to(&burdock, "/api/v1/version"), TOKEN).header("Origin", "https://evil.example");
    let refused = ask(&burdock, from_page);
    check_problem(&refused, 403);
    assert!(!refused.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-")));
    let form = |content_type: &str| {
        Request::new("POST", "/api/v1/explain")
            .header("Host", &burdock.admin.to_string())
            .header("Content-Type", content_type)
            .body("{}")
    };
    check_problem(&ask(&burdock, form("application/x-www-form-urlencoded").header("Origin", "https://evil.example")), 403);
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        check_problem(&ask(&burdock, form(content_type)), 401);
        check_problem(&ask(&burdock, with_token(form(content_type), TOKEN)), 415);
    }
    let preflight = Request::new("OPTIONS", "/api/v1/explain").header("Host", &burdock.admin.to_string());
    check_problem(&ask(&burdock, preflight.header("Origin", "https://evil.example")), 405);
}

#[test]
fn oversized_or_invalid_json_bodies_are_refused() {
    let site = Site::new();
    let api = site.shop(1, "sticky: cookie");
    let api = api.api();
    let explain =
        |body: &str| api.ask(Request::new("POST", "/api/v1/explain").header("Content-Type", "application/json").body(body));
    assert!(check_problem(&explain(&format!("{{\"path\": \"/{}\"}}", "x".repeat(65 * 1024))), 413).contains("64 KiB"));
    check_problem(&explain("{\"path\": "), 400);
    check_problem(&explain(""), 400);
    check_problem(&explain("\u{0}\u{ff}"), 400);
    assert!(check_problem(&explain("{\"pathh\": \"/\"}"), 422).contains("pathh"));
    check_problem(&explain("{\"path\": 7}"), 422);
    for no_object in ["[]", "null", "[\"GET\"]", "7"] {
        check_problem(&explain(no_object), 422);
    }
    check_problem(&explain("{\"headers\": [[\"a\", \"b\"]]}"), 422);
}

#[test]
fn an_unfinished_header_block_delays_no_other_client() {
    let site = Site::new();
    let burdock = open(&site, "sticky: cookie");
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(burdock.admin).unwrap();
            stream.write_all(b"GET /api/v1/version HTTP/1.1\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(ask(&burdock, with_token(to(&burdock, "/api/v1/version"), TOKEN)).status, 200);
    drop(slow);
}

#[test]
fn unknown_resources_and_methods_return_problem_documents() {
    let site = Site::new();
    let burdock = site.shop(1, "sticky: cookie");
    let api = burdock.api();
    let ask = |method: &str, path: &str| api.ask(Request::new(method, path));
    check_problem(&ask("GET", "/api/v1/nothing"), 404);
    check_problem(&ask("GET", "/"), 404);
    check_problem(&ask("GET", "/api/v1/upstreams/none"), 404);
    check_problem(&ask("GET", "/api/v1/upstreams/shop/servers/none"), 404);
    check_problem(&ask("GET", "/api/v1/upstreams/none/servers"), 404);
    check_problem(&ask("GET", "/api/v1/tables/none"), 404);
    let refused = ask("DELETE", "/api/v1/version");
    check_problem(&refused, 405);
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    let found = api.ask(with_json("POST", "/tables/none/sessions/find", &json!({"id": "1"})));
    check_problem(&found, 404);
}

#[test]
fn silent_connections_do_not_keep_probes_out() {
    let site = Site::new();
    let burdock = open(&site, "sticky: cookie");
    let silent: Vec<Wire> = (0..300).map(|_| Wire::open(burdock.admin)).collect();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(&burdock, to(&burdock, path)).status, 200, "{path}");
    }
    burdock.wait_for_log("limit of 256 reached");
    let lines = burdock.stderr().lines().filter(|line| line.contains("limit of 256 reached")).count();
    assert_eq!(lines, 1, "one line in ten seconds");
    drop(silent);
}
