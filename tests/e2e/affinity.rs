//! The `Burdock-Affinity` header on the wire: announcements to servers of moved sessions, and orders from applications.

use crate::harness::{Burdock, Client, Origin, Page, Reply, Request, Site, wait_until};

const AFFINITY: &str = "Burdock-Affinity";
const PLAIN: &str = "sticky: [{cookie: {name: S, token: plain}}]";

/// The announcements in the last request that a server received.
fn announced(origin: &Origin) -> Vec<String> {
    origin.last().all(AFFINITY).into_iter().map(str::to_owned).collect()
}

fn tied_to(server: &str, path: &str) -> Request {
    Request::get(path).header("Cookie", &format!("S={server}"))
}

fn moved(burdock: &Burdock, cause: &str) -> f64 {
    burdock.metrics().sum("burdock_sessions_moved_total", &[("upstream", "shop"), ("cause", cause)])
}

/// A shop of two servers that obeys these orders, and a client pinned to the first.
fn obeying(site: &Site, orders: &str, sticky: &str) -> (Burdock, Client) {
    let burdock = site.shop(2, &format!("sticky: {sticky}\naffinity: {{obey: [{orders}]}}"));
    let client = burdock.client_at("web-1");
    (burdock, client)
}

#[test]
fn a_redispatched_session_is_announced_once_to_its_new_server() {
    let site = Site::new();
    let origin = site.origin(2);
    let burdock = site.shop(2, PLAIN);
    let response = burdock.ask(&tied_to("web-1", "/moved"));
    assert_eq!(response.set_cookies(), ["S=web-2; Path=/; HttpOnly"]);
    assert_eq!(announced(&origin), ["moved; from=web-1; reason=redispatched"]);
    burdock.ask(&tied_to("web-2", "/kept"));
    assert_eq!(announced(&origin), [""; 0], "the move is announced once");
    wait_until("the move is counted", || moved(&burdock, "down") == 1.0);
}

#[test]
fn a_session_of_a_killed_server_is_announced_to_its_new_server() {
    let site = Site::new();
    let mut first = site.origin_process(1);
    let origin = site.origin(2);
    let burdock = site.shop(2, "sticky: cookie");
    let mut client = burdock.client_at("web-1");
    first.kill();
    assert_eq!(client.get("/moved").served_by(), "web-2");
    assert_eq!(announced(&origin), ["moved; from=web-1; reason=redispatched"]);
    let line = burdock.log_line("/moved");
    assert_eq!(["from", "settled"].map(|field| line.text(field)), ["web-1", "rewritten"]);
}

#[test]
fn the_announcement_names_the_reason_for_the_move() {
    let site = Site::new();
    let origin = site.origin(2);
    let check = "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms, fall: 1, rise: 1}";
    let burdock = site.burdock(&format!(
        "upstreams:
  shop:
    servers:
      - {{id: web-1, address: $IP:9001}}
      - {{id: web-2, address: $IP:9002}}
      - {{id: web-3, address: $IP:9003, state: maint}}
    {PLAIN}
    {check}
"
    ));
    for (server, affinity) in [
        ("web-1", "moved; from=web-1; reason=down"),
        ("web-3", "moved; from=web-3; reason=maint"),
        ("gone", "moved; reason=unknown_server"),
    ] {
        assert_eq!(burdock.ask(&tied_to(server, "/")).status, 200);
        assert_eq!(announced(&origin), [affinity]);
    }
    for cause in ["down", "maint", "unknown_server"] {
        wait_until(cause, || moved(&burdock, cause) == 1.0);
    }
}

#[test]
fn a_temporary_move_is_announced_as_a_detour() {
    for sticky in [
        format!("{PLAIN}\nfailover: {{down: temporary}}"),
        "sticky: [{route: {from: cookie:S}}]".into(),
        "sticky: [{cookie: {name: S, token: plain, mode: passive}}]".into(),
    ] {
        let site = Site::new();
        let origin = site.origin(2);
        let burdock = site.shop(2, &sticky);
        for _ in 0..2 {
            assert_eq!(burdock.ask(&tied_to("web-1", "/")).set_cookies(), [""; 0]);
            assert_eq!(announced(&origin), ["detour; from=web-1; reason=redispatched"], "{sticky}");
        }
        assert_eq!(burdock.metrics().sum("burdock_sessions_moved_total", &[]), 0.0);
    }
}

#[test]
fn a_client_cannot_forge_the_affinity_header() {
    for listener in ["$IP:8080", "{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}"] {
        let site = Site::new();
        let origin = site.origin(2);
        let shop = crate::harness::shop(2, PLAIN);
        let burdock = site.burdock(&format!("listeners: [{listener}]\n{shop}"));
        let forged = |request: Request| {
            let first = request.header(AFFINITY, "moved; from=x; reason=down").header("burdock-affinity", "release");
            assert_eq!(burdock.ask(&first).status, 200);
            announced(&origin)
        };
        assert_eq!(forged(tied_to("web-2", "/")), [""; 0]);
        assert_eq!(forged(tied_to("web-1", "/")), ["moved; from=web-1; reason=redispatched"]);
    }
}

#[test]
fn announcements_can_be_turned_off() {
    let site = Site::new();
    let origin = site.origin(2);
    let burdock = site.shop(2, &format!("{PLAIN}\naffinity: {{announce: false}}"));
    assert_eq!(burdock.ask(&tied_to("web-1", "/").header(AFFINITY, "moved")).served_by(), "web-2");
    assert_eq!(announced(&origin), [""; 0]);
}

#[test]
fn an_application_ends_a_session_at_logout() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let (burdock, mut client) = obeying(&site, "release", "cookie");
    origins[0].respond_with(|_| Reply::with(AFFINITY, "release"));
    let logout = client.get("/logout");
    assert_eq!(logout.set_cookies(), ["BURDOCK_shop=; Path=/; Max-Age=0; HttpOnly"]);
    assert_eq!((logout.header(AFFINITY), client.session_cookie()), (None, None));
    let line = burdock.log_line("/logout");
    assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "cookie", "forgotten"]);
}

#[test]
fn an_application_moves_a_session_to_another_server() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let (burdock, mut client) = obeying(&site, "move_to", "cookie");
    origins[0].respond_with(|_| Reply::with(AFFINITY, "move-to=web-2"));
    let order = client.get("/order");
    assert_eq!((order.served_by(), order.header(AFFINITY), order.set_cookies().len()), ("web-1", None, 1));
    for _ in 0..3 {
        let after = client.get("/after");
        assert_eq!((after.served_by(), after.set_cookies().len()), ("web-2", 0));
    }
    assert_eq!(burdock.log_line("/order").text("settled"), "rewritten");
    wait_until("the move is counted", || moved(&burdock, "application") == 1.0);
}

#[test]
fn an_application_extends_a_session() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let (burdock, mut client) = obeying(&site, "extend", "[{cookie: {idle_timeout: 1h}}]");
    let before = client.token().to_owned();
    client.get("/young");
    assert_eq!((burdock.log_line("/young").text("settled"), client.token()), ("kept".into(), &*before));
    origins[0].respond_with(|_| Reply::with(AFFINITY, "extend"));
    let extended = client.get("/extended");
    assert_eq!((extended.served_by(), extended.header(AFFINITY)), ("web-1", None));
    assert_eq!(burdock.log_line("/extended").text("settled"), "renewed");
    assert_ne!(client.token(), before);
}

#[test]
fn disallowed_affinity_orders_are_stripped_and_ignored() {
    for (allowed, order) in [("", "release"), ("extend", "release"), ("release, extend", "move-to=web-2"), ("", "nonsense")]
    {
        let site = Site::new();
        let origins = site.origins::<2>();
        let (burdock, mut client) = obeying(&site, allowed, "cookie");
        origins[0].respond_with(move |_| Reply::with(AFFINITY, order));
        for _ in 0..2 {
            let response = client.get("/ordered");
            assert_eq!((response.served_by(), response.header(AFFINITY), response.set_cookies().len()), ("web-1", None, 0));
        }
        assert_eq!(burdock.log_line("/ordered").text("settled"), "kept");
    }
}

#[test]
fn the_affinity_header_never_reaches_the_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\naffinity: {obey: [release, extend, move_to]}");
    for status in [200, 304, 404, 500] {
        origin.respond_with(move |_| Page::new(status).header(AFFINITY, "extend").header("burdock-affinity", "x").into());
        let response = burdock.get("/");
        assert_eq!((response.status, response.header(AFFINITY)), (status, None));
    }
    origin.respond_with(|_| Reply::with(AFFINITY, "release"));
    let preflight =
        Request::new("OPTIONS", "/").header("Origin", "https://a.test").header("Access-Control-Request-Method", "PUT");
    assert_eq!(burdock.ask(&preflight).header(AFFINITY), None);
    origin.respond_with(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nBurdock-Affinity: extend\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 0\r\nBurdock-Affinity: extend\r\n\r\n",
        )
    });
    let mut wire = burdock.wire();
    wire.send(Request::get("/").bytes());
    for status in [103, 200] {
        let response = wire.response();
        assert_eq!((response.status, response.header(AFFINITY)), (status, None));
    }
}

#[test]
fn orders_to_move_to_an_unassignable_server_are_ignored() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.burdock(
        "upstreams:
  shop:
    servers:
      - {id: web-1, address: $IP:9001}
      - {id: web-2, address: $IP:9002, state: drain}
    sticky: cookie
    affinity: {obey: [move_to]}
",
    );
    let mut client = burdock.client_at("web-1");
    for order in ["move-to=web-2", "move-to=web-9", "move-to=web-1"] {
        origins[0].respond_with(move |_| Reply::with(AFFINITY, order));
        assert!(client.get("/").set_cookies().is_empty(), "{order}");
    }
}

#[test]
fn a_login_during_a_detour_moves_the_session() {
    let site = Site::new();
    let origin = site.origin(2);
    let sticky = "sticky: [{cookie: {name: S, mode: prefix, token: plain}}]\nfailover: {down: temporary}";
    let burdock = site.shop(2, sticky);
    let away = Request::get("/away").header("Cookie", "S=web-1~old");
    assert_eq!(burdock.ask(&away).set_cookies(), [""; 0]);
    origin.respond_with(|_| Reply::with("Set-Cookie", "S=new; Path=/"));
    let login = Request::new("POST", "/login").header("Cookie", "S=web-1~old").body("user=ann");
    assert_eq!(burdock.ask(&login).set_cookies(), ["S=web-2~new; Path=/"]);
    let _back = site.origin(1);
    assert_eq!(burdock.ask(&Request::get("/").header("Cookie", "S=web-2~new")).served_by(), "web-2");
    assert_eq!(burdock.ask(&Request::get("/").header("Cookie", "S=web-1~old")).served_by(), "web-1");
    assert_eq!(burdock.log_line("/login").text("settled"), "rewritten");
    wait_until("the move is counted", || moved(&burdock, "down") == 1.0);
}
