//! Malformed, ambiguous and oversized requests never reach a server.

use crate::harness::{Burdock, Request, Response, Site, wait_until};

/// Sends these bytes and nothing more, and returns the response.
fn answer(burdock: &Burdock, bytes: impl AsRef<[u8]>) -> Response {
    let mut wire = burdock.wire();
    wire.send(bytes);
    wire.response()
}

fn head(lines: &str) -> String {
    format!("{}\r\n\r\n", lines.replace('|', "\r\n"))
}

#[test]
fn a_request_without_host_is_refused_unless_it_is_http_1_0() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(answer(&burdock, head("GET / HTTP/1.1")).status, 400);
    assert!(origin.received().is_empty());
    assert_eq!(answer(&burdock, head("GET / HTTP/1.0")).status, 200);
}

#[test]
fn a_request_with_two_framings_is_refused() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for lines in [
        "POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked",
        "POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5",
        "POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked|content-length: 0",
    ] {
        let mut wire = burdock.wire();
        wire.send(head(lines) + "0\r\n\r\n");
        let response = wire.response();
        assert_eq!((response.status, response.set_cookies().len()), (400, 0), "{lines}");
        assert!(wire.is_closed(), "no further bytes may be read as a request");
    }
    assert!(origin.received().is_empty());
}

#[test]
fn malformed_requests_are_refused_and_counted() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let malformed = [
        "GET / HTTP/1.1|Host: a|Host: b",
        "GET / HTTP/1.1|Host : a",
        "GET / HTTP/1.1|Host: a| folded: b",
        "GET / HTTP/1.1|Host: user@a",
        "POST / HTTP/1.1|Host: a|Content-Length: 1|Content-Length: 2",
        "POST / HTTP/1.1|Host: a|Content-Length: -1",
        "POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked, gzip",
    ];
    for lines in malformed {
        assert_eq!(answer(&burdock, head(lines)).status, 400, "{lines}");
    }
    assert_eq!(
        answer(&burdock, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").status,
        400,
        "TLS to a plain-text port"
    );
    assert!(origin.received().is_empty());
    wait_until("all are counted", || {
        burdock.metrics().sum("burdock_malformed_requests_total", &[]) >= malformed.len() as f64
    });
}

#[test]
fn headers_over_the_limit_get_431() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\nlimits: {header_bytes: 4KiB}");
    let sized = |size: usize| burdock.ask(&Request::get("/").header("X-Large", &"x".repeat(size))).status;
    assert_eq!(sized(3500), 200);
    assert_eq!(sized(4200), 431);
    assert_eq!(sized(60_000), 431);
    assert_eq!(origin.received().len(), 1);
}

#[test]
fn a_body_over_the_limit_gets_413() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\nlimits: {body: 1KiB}");
    let sized = |size: usize| burdock.ask(&Request::new("POST", "/").body(vec![b'x'; size])).status;
    assert_eq!(sized(1024), 200);
    assert_eq!(sized(1025), 413);
    assert_eq!(origin.received().len(), 1, "a body with Content-Length is refused before it reaches a server");
    let chunks = head("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked") + &format!("400\r\n{}\r\n", "x".repeat(1024));
    assert_eq!(answer(&burdock, format!("{chunks}0\r\n\r\n")).status, 200);
    assert_eq!(answer(&burdock, format!("{chunks}1\r\nx\r\n0\r\n\r\n")).status, 413);
}

#[test]
fn a_header_block_that_trickles_gets_408() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, header_timeout: 1s}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ));
    let mut wire = burdock.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ");
    let mut sent = 0;
    wait_until("a response to the slow request", || {
        sent += 1;
        wire.is_readable() || wire.try_send(b"x").is_err()
    });
    assert_eq!(wire.response().status, 408);
    assert!(wire.is_closed());
    assert!(sent > 20, "cut too early: {sent} bytes");
    assert!(origin.received().is_empty());
}

#[test]
fn the_header_timeout_applies_to_later_requests_of_a_connection() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, header_timeout: 1s}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ));
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    burdock.log_line("/");
    wire.send("GET / HT");
    assert_eq!(wire.response().status, 408);
    assert!(wire.is_closed());
}

#[test]
fn the_header_timeout_applies_to_pipelined_requests() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, header_timeout: 1s}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ));
    let mut wire = burdock.wire();
    wire.send([&Request::get("/").bytes()[..], b"GET / HT"].concat());
    assert_eq!((wire.response().status, wire.response().status), (200, 408));
    assert!(wire.is_closed());
}

#[test]
fn the_header_timeout_does_not_cut_a_slow_body() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, header_timeout: 300ms}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ));
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 120\r\n\r\n");
    let mut sent = 0;
    wait_until("the slow body is sent", || {
        wire.send("x");
        sent += 1;
        sent == 120
    });
    assert_eq!(wire.response().status, 200);
    assert_eq!(origin.last().body.len(), 120);
}

#[test]
fn hop_by_hop_headers_are_removed_in_both_directions() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| {
        crate::harness::Page::new(200)
            .header("Connection", "keep-alive, X-Private")
            .header("Keep-Alive", "timeout=5")
            .header("X-Private", "1")
            .header("Proxy-Authenticate", "Basic")
            .header("Proxy-Connection", "keep-alive")
            .header("X-Public", "2")
            .into()
    });
    let request = Request::get("/")
        .header("Connection", "keep-alive, X-Hop")
        .header("X-Hop", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("TE", "trailers");
    let response = burdock.ask(&request);
    for name in ["keep-alive", "x-private", "proxy-authenticate", "proxy-connection"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("x-public"), Some("2"));
    for name in ["x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(origin.last().header(name), None, "{name}");
    }
}

#[test]
fn a_malformed_chunk_ends_the_request() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for chunks in ["0x5\r\nhello\r\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n", "5\r\nhello world\r\n0\r\n\r\n"] {
        let mut wire = burdock.wire();
        wire.send(head("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked") + chunks);
        let response = wire.response();
        assert_eq!(response.status, 400, "{chunks:?}");
        assert!(wire.is_closed(), "{chunks:?}");
    }
    assert!(origin.received().is_empty(), "no server saw a whole request");
}

#[test]
fn chunked_framing_in_http_1_0_or_in_disguise_is_refused() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for (status, lines) in [
        (400, "POST / HTTP/1.0|Host: a|Transfer-Encoding: chunked"),
        (501, "POST / HTTP/1.1|Host: a|Transfer-Encoding: xchunked"),
        (400, "POST / HTTP/1.1|Host: a|Transfer-Encoding : chunked"),
        (400, "POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: identity"),
    ] {
        let mut wire = burdock.wire();
        wire.send(head(lines) + "0\r\n\r\n");
        assert_eq!(wire.response().status, status, "{lines}");
        assert!(wire.is_closed(), "{lines}");
    }
    assert!(origin.received().is_empty());
}

#[test]
fn a_client_cannot_nominate_our_headers_for_removal() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for nominated in ["X-Forwarded-For", "X-Forwarded-Proto", "Host", "close, X-Forwarded-For"] {
        let status = burdock.ask(&Request::get("/").header("Connection", nominated)).status;
        assert!(matches!(status, 200 | 400), "{nominated}: {status}");
    }
    for request in origin.received() {
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.header("x-forwarded-proto"), Some("http"));
        assert!(request.header("host").is_some());
    }
}
