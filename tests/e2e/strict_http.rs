//! Requests and responses that readers might understand in two ways: refused, or made plain, before anybody else reads them.

use std::time::{Duration, Instant};

use crate::harness::{Burdock, Origin, Page, Reply, Request, Response, Site, Wire, shop, wait_until};

fn lines(text: &str) -> String {
    text.replace('|', "\r\n")
}

fn head(text: &str) -> String {
    lines(text) + "\r\n\r\n"
}

/// Sends these bytes and nothing more, and returns the response.
fn answer(burdock: &Burdock, bytes: impl AsRef<[u8]>) -> Response {
    let mut wire = burdock.wire();
    wire.send(bytes);
    wire.response()
}

fn with_listener(site: &Site, options: &str, upstream: &str) -> Burdock {
    site.burdock(&format!("listeners: [{{address: $IP:8080, {options}}}]\n{}", shop(1, upstream)))
}

/// All that comes until the connection ends.
fn rest(wire: &mut Wire) -> String {
    let mut bytes = Vec::new();
    while let Ok(byte) = wire.take(1) {
        bytes.extend(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn names(origin: &Origin) -> Vec<String> {
    origin.last().head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for (status, request) in [
        (400, "Extra GET / HTTP/1.1|Host: a"),
        (400, "GET /a b HTTP/1.1|Host: a"),
        (400, "GET x HTTP/1.1|Host: a"),
        (400, "GET admin/x HTTP/1.1|Host: a"),
        (400, "GET haproxy.org:80 HTTP/1.1|Host: a"),
        (400, "OPTIONS */test HTTP/1.1|Host: a"),
        (400, "GET /\0 HTTP/1.1|Host: a"),
        (400, "GET / HTTP/1.1|Host: a b"),
        (400, "GET / HTTP/1.1|Host: a/b"),
        (400, "GET / HTTP/1.1|Host: a, b"),
        (400, "GET / HTTP/1.1|Host: x:80a"),
        (400, "GET http://a/ HTTP/1.1|Host: b"),
        (400, "GET / HTTP/1.1\nHost: a"),
        (400, "POST / HTTP/1.1|Host: a|Content-Length: 5, 6"),
        (501, "POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked"),
        (505, "GET / HTTP/2.0|Host: a"),
        (405, "CONNECT a:443 HTTP/1.1|Host: a"),
    ] {
        let mut wire = burdock.wire();
        wire.send(head(request));
        assert_eq!(wire.response().status, status, "{request:?}");
        assert!(wire.is_closed(), "{request:?}");
    }
    assert!(origin.received().is_empty());
    let line = burdock.log_line("/a");
    assert_eq!((line.text("status").as_str(), line.text("server").as_str()), ("400", ""), "refused requests are in the log");
}

#[test]
fn a_server_gets_one_plain_length() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for twice in ["Content-Length: 5|Content-Length: 5", "Content-Length: 5, 5", "Content-Length: 0005"] {
        let response = answer(&burdock, head(&format!("POST / HTTP/1.1|Host: a|{twice}")) + "hello");
        assert_eq!(response.status, 200, "{twice}");
        let head = origin.last().head.to_ascii_lowercase();
        assert_eq!(head.matches("content-length").count(), 1, "{head}");
        assert!(head.contains("content-length: 5\r\n"), "{head}");
    }
}

#[test]
fn an_absolute_target_becomes_a_path() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for (target, host) in [
        ("http://app.example/x", "app.example"),
        ("http://app.example:80/x", "app.example"),
        ("http://APP.example/x", "app.example:80"),
    ] {
        assert_eq!(answer(&burdock, head(&format!("GET {target} HTTP/1.1|Host: {host}"))).status, 200, "{target}");
        assert!(origin.last().head.starts_with("GET /x HTTP/1.1\r\n"), "{}", origin.last().head);
    }
}

#[test]
fn chunks_that_readers_differ_in_end_the_connection() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for chunks in [
        "\r\n\r\n",
        ";x\r\n\r\n",
        " \r\n\r\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "0\r\ngarbage\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
    ] {
        let mut wire = burdock.wire();
        wire.send(head("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked") + chunks + smuggled);
        assert_eq!(wire.response().status, 400, "{chunks:?}");
        assert!(wire.is_closed(), "{chunks:?}");
    }
    assert!(origin.received().iter().all(|request| request.path() != "/smuggled"));
}

#[test]
fn many_small_chunks_reach_a_server_as_few() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let body = "1;x=y\r\nz\r\n".repeat(20_000) + "0\r\nDigest: x\r\n\r\n";
    let mut wire = burdock.wire();
    wire.send(head("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked") + &body + &head("GET /next HTTP/1.1|Host: a"));
    assert_eq!((wire.response().status, wire.response().status), (200, 200));
    let received = origin.received();
    assert!(received[0].body == vec![b'z'; 20_000] && received[1].path() == "/next");
}

#[test]
fn a_refused_client_that_goes_on_sending_gets_its_answer() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for _ in 0..10 {
        let mut wire = burdock.wire();
        wire.send(head("POST / HTTP/1.1|Host: a b|Content-Length: 200000") + &"x".repeat(200_000));
        assert_eq!(wire.response().status, 400);
    }
}

#[test]
fn nothing_behind_a_request_is_read_with_it() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("POST /one HTTP/1.1|Host: a|Content-Length: 3") + "abc" + &head("GET /two HTTP/1.1|Host: a b"));
    assert_eq!(wire.response().status, 200);
    assert_eq!(wire.response().status, 400, "the second is judged like the first");
    assert!(wire.is_closed());
    assert_eq!(origin.received().len(), 1);
}

#[test]
fn a_head_of_any_size_is_refused_at_the_limit() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\nlimits: {header_bytes: 8KiB}");
    let mut wire = burdock.wire();
    wire.send(lines("GET / HTTP/1.1|Host: a|"));
    let mut sent = 0;
    wait_until("an answer before the end of the head", || {
        sent += 1;
        wire.is_readable() || wire.try_send(format!("X-{sent}: {}\r\n", "y".repeat(1000)).as_bytes()).is_err()
    });
    assert_eq!(wire.response().status, 431);
    assert!(sent < 100, "{sent} KB");
    assert!(origin.received().is_empty());
}

#[test]
fn all_connection_lines_count() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("GET / HTTP/1.1|Host: a|Connection: keep-alive|Connection: close, X-Hop|X-Hop: 1"));
    assert_eq!(wire.response().status, 200);
    assert!(wire.is_closed());
    assert_eq!(origin.last().header("x-hop"), None);
    let many: String = (0..3000).map(|n| format!("a{n},")).collect();
    assert_eq!(answer(&burdock, head(&format!("GET / HTTP/1.1|Host: a|Connection: {many}"))).status, 200);
}

#[test]
fn an_upgrade_that_is_not_passed_on_makes_an_ordinary_request() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {read: 1s}");
    let h2c = "Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA";
    let mut wire = burdock.wire();
    for _ in 0..5 {
        wire.send(head(&format!("GET / HTTP/1.1|Host: a|{h2c}")));
        assert_eq!(wire.response().status, 200);
    }
    let received = origin.received();
    assert!(received.iter().all(|request| request.connection == received[0].connection), "one connection for all");
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(origin.last().header(name), None);
    }
    origin.respond_with(|_| Reply::Silence);
    wire.send(head(&format!("GET / HTTP/1.1|Host: a|{h2c}")));
    assert_eq!(wire.response().status, 504, "after the read timeout");
}

#[test]
fn an_upgrade_is_answered_within_the_read_timeout_and_lasts_longer() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|request| match request.path() {
        "/silent" => Reply::Silence,
        _ => Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()),
    });
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {read: 500ms}");
    let upgrade = |path: &str| head(&format!("GET {path} HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: websocket"));
    assert_eq!(answer(&burdock, upgrade("/silent")).status, 504);
    let mut wire = burdock.wire();
    wire.send(upgrade("/ws"));
    assert_eq!(wire.response().status, 101);
    std::thread::sleep(Duration::from_secs(1));
    wire.send("hello");
    assert_eq!(wire.take(5).unwrap(), b"hello");
}

#[test]
fn an_upgrade_without_connection_is_none() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(answer(&burdock, head("GET / HTTP/1.1|Host: a|Upgrade: websocket")).status, 200);
    assert_eq!(origin.last().header("upgrade"), None);
}

#[test]
fn a_listener_may_pass_other_upgrades() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n".to_vec())
    });
    let burdock = with_listener(&site, "upgrades: [websocket, chat]", "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: chat"));
    let response = wire.response();
    assert_eq!((response.status, response.header("upgrade")), (101, Some("chat")));
    assert_eq!(origin.last().header("upgrade"), Some("chat"));
    wire.send("hello");
    assert_eq!(wire.take(5).unwrap(), b"hello");
}

#[test]
fn what_a_client_sends_before_a_101_arrives_after_it() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: websocket") + "early");
    assert_eq!(wire.response().status, 101);
    assert_eq!(wire.take(5).unwrap(), b"early");
}

#[test]
fn a_101_that_was_not_asked_for_is_a_502() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Reply::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"));
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(answer(&burdock, head("GET /odd HTTP/1.1|Host: a")).status, 502);
    assert_eq!(burdock.log_line("/odd").text("status"), "502");
}

#[test]
fn a_response_that_can_be_read_in_two_ways_is_a_502() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for framing in [
        "Transfer-Encoding: foo",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked|Transfer-Encoding: chunked",
        "Transfer-Encoding: foo|Content-Length: 2",
        "Content-Length: 2|Content-Length: 3",
        "Content-Length: 2, 3",
    ] {
        let bytes = head(&format!("HTTP/1.1 200 OK|{framing}")) + "2\r\nok\r\n0\r\n\r\n";
        origin.respond_with(move |_| Reply::raw(&bytes));
        assert_eq!(burdock.get("/").status, 502, "{framing}");
    }
}

#[test]
fn a_response_has_one_plain_length() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for framing in ["Content-Length: 2|Content-Length: 2", "Content-Length: 2, 2", "Content-Length: 02"] {
        let bytes = head(&format!("HTTP/1.1 200 OK|{framing}")) + "ok";
        origin.respond_with(move |_| Reply::raw(&bytes));
        let response = burdock.get("/");
        let lengths: Vec<_> =
            response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).collect();
        assert_eq!((response.text().as_str(), lengths.len(), lengths[0].1.as_str()), ("ok", 1, "2"), "{framing}");
    }
    for framing in ["Content-Length: 0", "Transfer-Encoding: chunked"] {
        let bytes = head(&format!("HTTP/1.1 204 No Content|{framing}"));
        origin.respond_with(move |_| Reply::raw(&bytes));
        let response = burdock.get("/");
        assert_eq!(
            (response.status, response.header("content-length"), response.header("transfer-encoding")),
            (204, None, None)
        );
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for (reply, connection) in [
        (Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ngood \r\n4\r\nnews\r\n0\r\n\r\n"), ""),
        (
            Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ngood \r\n4\r\nnews\r\n0\r\n\r\n"),
            "|Connection: keep-alive",
        ),
        (Reply::Last(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ngood news".to_vec()), ""),
    ] {
        origin.respond_with(move |_| reply.clone());
        let mut wire = burdock.wire();
        wire.send(head(&format!("GET / HTTP/1.0{connection}")));
        let head = wire.head().unwrap().to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding") && head.contains("connection: close"), "{head}");
        assert_eq!(rest(&mut wire), "good news");
    }
}

#[test]
fn a_server_always_gets_a_host() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(answer(&burdock, head("GET / HTTP/1.0")).status, 200);
    assert_eq!(origin.last().header("host"), Some(site.server(1).to_string().as_str()));
}

#[test]
fn the_version_of_a_response_is_ours() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Reply::Last(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()));
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("GET / HTTP/1.1|Host: a"));
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[test]
fn trailers_that_do_not_come_are_not_announced() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n2\r\nok\r\n0\r\nDigest: x\r\n\r\n",
        )
    });
    let burdock = site.shop(1, "sticky: cookie");
    let response = burdock.get("/");
    assert_eq!((response.text().as_str(), response.header("trailer")), ("ok", None));
}

#[test]
fn a_client_may_close_its_sending_side_if_the_listener_says_so() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| {
        std::thread::sleep(Duration::from_millis(200));
        Page::new(200).body("still here").into()
    });
    let burdock = with_listener(&site, "half_close: answer", "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("GET / HTTP/1.1|Host: a|Connection: close"));
    wire.close_sending();
    assert_eq!(wire.response().text(), "still here");
    assert!(wire.is_closed());
}

#[test]
fn a_client_that_pauses_in_its_body_gets_408() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = with_listener(&site, "body_timeout: 500ms", "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send(head("POST /up HTTP/1.1|Host: a|Content-Length: 20") + "0123456789");
    assert_eq!(wire.response().status, 408);
    assert!(wire.is_closed());
    assert_eq!(burdock.log_line("/up").text("status"), "408");
    let mut wire = burdock.wire();
    wire.send(head("POST /up HTTP/1.1|Host: a|Transfer-Encoding: chunked") + "5\r\nhel");
    assert_eq!(wire.response().status, 408);
}

#[test]
fn a_pause_of_the_client_is_no_silence_of_the_server() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {read: 1s}");
    let mut wire = burdock.wire();
    wire.send(head("POST /up HTTP/1.1|Host: a|Content-Length: 20") + "0123456789");
    assert_eq!(wire.response().status, 408, "the client is told that it is late");
}

#[test]
fn a_body_below_its_least_rate_gets_408() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = with_listener(&site, "min_body_rate: 1000", "sticky: cookie");
    let mut wire = burdock.wire();
    let begun = Instant::now();
    wire.send(head("POST / HTTP/1.1|Host: a|Content-Length: 100000"));
    wait_until("a response to the slow body", || wire.is_readable() || wire.try_send(b"x").is_err());
    assert_eq!(wire.response().status, 408);
    assert!(begun.elapsed() >= Duration::from_secs(10), "after the grace");
}

#[test]
fn a_client_that_does_not_read_lets_its_server_go() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Page::new(200).body(vec![b'x'; 20 * 1024 * 1024]).into());
    let servers = "[{id: web-1, address: $IP:9001, max_conns: 1}]";
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, write_timeout: 500ms}}]\nupstreams: {{shop: {{servers: {servers}, sticky: cookie}}}}"
    ));
    let mut silent = burdock.wire();
    silent.send(head("GET /big HTTP/1.1|Host: a"));
    let line = burdock.log_line("/big");
    assert_eq!(line.text("status"), "200", "the head was sent before");
    origin.respond_with(|_| Reply::status(200));
    assert_eq!(burdock.get("/").status, 200, "its place is free again");
}

#[test]
fn requests_for_this_hop_are_answered_here() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let options = answer(&burdock, head("OPTIONS * HTTP/1.1|Host: a"));
    assert_eq!(options.status, 204);
    assert!(options.header("allow").is_some_and(|methods| methods.contains("POST")));
    assert_eq!(answer(&burdock, head("TRACE / HTTP/1.1|Host: a|Max-Forwards: 0")).status, 405);
    assert!(origin.received().is_empty());
    assert_eq!(answer(&burdock, head("OPTIONS / HTTP/1.1|Host: a|Max-Forwards: 2")).status, 200);
    assert_eq!(origin.last().header("max-forwards"), Some("1"));
}

#[test]
fn names_go_on_as_they_are_usually_written() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let response = burdock.get("/");
    let pair = response.set_cookies()[0].split(';').next().unwrap().to_owned();
    let request = Request::get("/").header("cOOkie", &format!("a=1; {pair}")).header("x-Odd", "1");
    assert_eq!(burdock.ask(&request).status, 200);
    let names = names(&origin);
    for name in ["cOOkie", "x-Odd", "X-Forwarded-For", "Host"] {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
}

#[test]
fn a_426_keeps_the_protocol_that_it_asks_for() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Page::new(426).header("Connection", "Upgrade").header("Upgrade", "websocket").into());
    let burdock = site.shop(1, "sticky: cookie");
    let response = burdock.get("/");
    assert_eq!((response.status, response.header("upgrade")), (426, Some("websocket")));
}
