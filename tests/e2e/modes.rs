//! Cookies that the application sets, on the wire: what the client gets and what the server sees, byte for byte.

use crate::harness::{Page, ReceivedRequest, Reply, Request, Site, eventually};

/// The settings of a shop with one sticky cookie.
fn cookie(fields: &str) -> String {
    format!("sticky: [{{cookie: {{{fields}}}}}]")
}

fn sets(line: &'static str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync {
    move |_| Reply::with("Set-Cookie", line)
}

/// An application that sets this cookie for requests without a cookie, and sets nothing otherwise.
fn sets_once(line: &'static str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync {
    move |request| match request.header("cookie") {
        None => Reply::with("Set-Cookie", line),
        Some(_) => Reply::status(200),
    }
}

#[test]
fn prefix_mode_only_prepends_to_the_cookie_value() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: S, mode: prefix, token: plain"));
    let sent = [
        "S=abc~1=2; path=/shop;HttpOnly ;  Foo=\"a b\"; Expires=Wed, 09 Jun 2038 10:18:14 GMT",
        "s=other; Path=/",
        "S=\"in quotes\"; Path=/q",
        "S=; Path=/empty",
        "SS=S=abc; S=1",
        "S =spaced; Path=/s",
    ];
    origin.respond_with(move |_| sent.iter().fold(Page::new(200), |page, line| page.header("Set-Cookie", line)).into());
    let received = [
        "S=web-1~abc~1=2; path=/shop;HttpOnly ;  Foo=\"a b\"; Expires=Wed, 09 Jun 2038 10:18:14 GMT",
        "s=other; Path=/",
        "S=web-1~\"in quotes\"; Path=/q",
        "S=web-1~; Path=/empty",
        "SS=S=abc; S=1",
        "S =web-1~spaced; Path=/s",
    ];
    assert_eq!(burdock.get("/").set_cookies(), received);
}

#[test]
fn prefix_mode_strips_only_the_prefix_from_requests() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: S, mode: prefix, token: plain"));
    for (sent, seen) in [
        ("S=web-1~abc", "S=abc"),
        ("a=\"x y\"; S=web-1~a~b=c;b=;  c; S=plain", "a=\"x y\"; S=a~b=c;b=;  c; S=plain"),
        ("S=\"web-1~abc\"", "S=\"abc\""),
        ("S=web-1~\"abc\"", "S=\"abc\""),
        ("S=web-1~", "S="),
        ("s=web-1~abc; SS=web-1~abc", "s=web-1~abc; SS=web-1~abc"),
        ("S=gone~abc", "S=abc"),
    ] {
        assert_eq!(burdock.ask(&Request::get("/").header("Cookie", sent)).status, 200);
        assert_eq!(origin.last().all("cookie"), [seen]);
    }
}

#[test]
fn a_prefixed_cookie_selects_its_server() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, &cookie("name: JSESSIONID, mode: prefix"));
    origins.iter().for_each(|origin| origin.respond_with(sets_once("JSESSIONID=A1B2; Path=/; Secure")));
    let mut client = burdock.client_at("web-2");
    assert_eq!(client.jar["JSESSIONID"].len(), 76 + "~A1B2".len());
    for _ in 0..4 {
        let response = client.get("/stays");
        assert_eq!((response.served_by(), response.set_cookies().len()), ("web-2", 0));
    }
    assert_eq!(origins[1].last().all("cookie"), ["JSESSIONID=A1B2"]);
    let line = burdock.log_line("/stays");
    assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "cookie", "kept"]);
}

#[test]
fn rewrite_mode_changes_only_the_cookie_value() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, &cookie("name: SRV, mode: rewrite, token: plain"));
    let set = |request: &ReceivedRequest| match request.header("cookie") {
        None => Page::new(200)
            .header("Set-Cookie", "SRV=\"x\" ;Path=/; Max-Age=60 ; SameSite=None;secure")
            .header("Set-Cookie", "cart=SRV=1")
            .into(),
        Some(_) => Reply::status(200),
    };
    origins.iter().for_each(|origin| origin.respond_with(set));
    let mut client = burdock.client();
    let first = client.get("/first");
    let home = first.served_by().to_owned();
    let rewritten = format!("SRV={home} ;Path=/; Max-Age=60 ; SameSite=None;secure");
    assert_eq!(first.set_cookies(), [&*rewritten, "cart=SRV=1"]);
    assert_eq!(first.header("cache-control"), Some("private"));
    for _ in 0..4 {
        assert_eq!(client.get("/").served_by(), home);
    }
    let served = origins.iter().find(|origin| origin.name == home).unwrap();
    assert_eq!(served.last().all("cookie"), [format!("SRV={home}; cart=SRV=1")]);
    assert_eq!(burdock.log_line("/first").text("settled"), "inserted");
}

#[test]
fn upgrade_responses_tie_like_any_other_response() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: S, mode: prefix, token: plain"));
    origin.respond_with(|_| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: S=abc\r\n\r\n";
        Reply::Echo(head.into())
    });
    let upgrade =
        Request::get("/").header("Connection", "Upgrade").header("Upgrade", "websocket").header("Cookie", "S=web-1~abc");
    let mut wire = burdock.wire();
    let response = wire.ask(&upgrade);
    assert_eq!((response.status, response.set_cookies()), (101, vec!["S=web-1~abc"]));
    wire.send("hello");
    assert_eq!(wire.take(5).unwrap(), b"hello");
    assert_eq!(origin.last().all("cookie"), ["S=abc"]);
}

#[test]
fn rewrite_and_prefix_need_an_application_cookie_to_tie() {
    for mode in ["rewrite", "prefix"] {
        let site = Site::new();
        let origins = site.origins::<2>();
        let burdock = site.shop(2, &cookie(&format!("name: S, mode: {mode}")));
        (0..4).for_each(|_| assert_eq!(burdock.get("/").set_cookies(), [""; 0]));
        assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [2, 2]);
    }
}

#[test]
fn cookie_deletions_pass_through_unchanged() {
    for mode in ["rewrite", "prefix"] {
        let site = Site::new();
        let origin = site.origin(1);
        let burdock = site.shop(1, &cookie(&format!("name: S, mode: {mode}, token: plain")));
        for (nth, deletion) in
            ["S=; Max-Age=0; Path=/", "S=x; path=/; expires=Thu, 01-Jan-1970 00:00:01 GMT"].into_iter().enumerate()
        {
            origin.respond_with(sets("S=1"));
            let mut client = burdock.client();
            client.get("/login");
            assert!(client.jar["S"].starts_with("web-1"));
            origin.respond_with(sets(deletion));
            let path = format!("/logout/{nth}");
            assert_eq!(client.get(&path).set_cookies(), [deletion]);
            assert_eq!(burdock.log_line(&path).text("settled"), "forgotten");
        }
    }
}

#[test]
fn a_passive_cookie_is_followed_forwarded_and_never_set() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, &cookie("name: SRV, mode: passive, token: plain"));
    for _ in 0..3 {
        let response = burdock.ask(&Request::get("/passive").header("Cookie", "SRV=web-2"));
        assert_eq!((response.served_by(), response.set_cookies().len()), ("web-2", 0));
    }
    assert_eq!(origins[1].last().all("cookie"), ["SRV=web-2"]);
    assert_eq!(burdock.get("/").set_cookies(), [""; 0]);
    let line = burdock.log_line("/passive");
    assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "cookie", "kept"]);
}

#[test]
fn preserve_lets_the_application_move_and_end_a_session() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, &cookie("name: SRV, token: plain, preserve: true"));
    let mut client = eventually("a client at web-1", || {
        let mut client = burdock.client();
        (client.get("/").served_by() == "web-1").then_some(client)
    });
    assert_eq!(client.jar["SRV"], "web-1", "Burdock sets its own cookie when the application sets none");
    origins[0].respond_with(sets("SRV=web-2; Path=/"));
    assert_eq!(client.get("/").set_cookies(), ["SRV=web-2; Path=/"]);
    origins[1].respond_with(sets("SRV=; Max-Age=0"));
    let last = client.get("/");
    assert_eq!((last.served_by(), last.set_cookies()), ("web-2", vec!["SRV=; Max-Age=0"]));
    assert!(client.jar.is_empty());
}

#[test]
fn without_preserve_a_server_cannot_set_our_cookie() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: SRV, token: plain"));
    origin.respond_with(sets("SRV=elsewhere; Path=/"));
    assert_eq!(burdock.get("/").set_cookies(), ["SRV=web-1; Path=/; HttpOnly"]);
    assert_eq!(burdock.ask(&Request::get("/").header("Cookie", "SRV=web-1")).set_cookies(), [""; 0]);
}

#[test]
fn post_only_starts_sessions_only_on_post() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, &cookie("post_only: true"));
    let mut client = burdock.client();
    assert!(client.get("/").set_cookies().is_empty());
    let login = client.ask(Request::new("POST", "/login").body("user=ann"));
    assert_eq!(login.set_cookies().len(), 1);
    (0..4).for_each(|_| assert_eq!(client.get("/").served_by(), login.served_by()));
}

#[test]
fn each_host_gets_its_matching_cookie_domain() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: S, token: plain, domain: [example.com, shop.example.com, example.org]"));
    for (host, domain) in [
        ("www.example.com", "; Domain=example.com"),
        ("de.shop.example.com:8080", "; Domain=shop.example.com"),
        ("example.org", "; Domain=example.org"),
        ("example.net", ""),
        ("badexample.com", ""),
    ] {
        let response = burdock.ask(&Request::get("/").header("Host", host));
        assert_eq!(response.set_cookies(), [format!("S=web-1; Path=/{domain}; HttpOnly")], "{host}");
    }
}

#[test]
fn extra_cookie_attributes_are_written_verbatim() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, &cookie("name: S, token: plain, attributes: [Priority=High, 'X-Odd']"));
    assert_eq!(burdock.get("/").set_cookies(), ["S=web-1; Path=/; HttpOnly; Priority=High; X-Odd"]);
}

#[test]
fn hide_controls_whether_the_server_sees_the_cookie() {
    for (fields, seen) in [
        ("name: S, token: plain", vec!["a=1; b=2"]),
        ("name: S, token: plain, hide: false", vec!["a=1; S=web-1; b=2"]),
        ("name: S, token: plain, mode: passive, hide: true", vec!["a=1; b=2"]),
        ("name: S, token: plain, mode: rewrite", vec!["a=1; S=web-1; b=2"]),
        ("name: S, token: plain, mode: rewrite, hide: true", vec!["a=1; b=2"]),
    ] {
        let site = Site::new();
        let origin = site.origin(1);
        let burdock = site.shop(1, &cookie(fields));
        assert_eq!(burdock.ask(&Request::get("/").header("Cookie", "a=1; S=web-1; b=2")).status, 200);
        assert_eq!(origin.last().all("cookie"), seen, "{fields}");
        burdock.ask(&Request::get("/").header("Cookie", "S=web-1"));
        let alone: &[&str] = if seen[0].contains('S') { &["S=web-1"] } else { &[] };
        assert_eq!(origin.last().all("cookie"), alone, "no empty Cookie header is left: {fields}");
    }
}
