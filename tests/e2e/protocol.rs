//! HTTP/1.1 in all its forms: early hints, pipelining, bodies of every kind.

use crate::harness::{Origin, Page, ReadMode, Reply, Request, Response, Site};

#[test]
fn early_hints_come_first_and_carry_no_cookie() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
    });
    let mut wire = burdock.wire();
    wire.send(Request::get("/").bytes());
    let hints = wire.response();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>; rel=preload")));
    assert!(hints.set_cookies().is_empty() && hints.header("cache-control").is_none(), "{hints:?}");
    let last = wire.response();
    assert_eq!((last.status, last.set_cookies().len(), last.text()), (200, 1, "ok".to_owned()));
}

#[test]
fn pipelined_requests_are_answered_in_order_by_one_server() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    for origin in &origins {
        origin.respond_with(|request| Page::new(200).body(request.path()).into());
    }
    let mut wire = burdock.wire();
    wire.send(["/1", "/2", "/3"].map(|path| Request::get(path).bytes()).concat());
    let answers: Vec<Response> = (0..3).map(|_| wire.response()).collect();
    assert_eq!(answers.iter().map(Response::text).collect::<Vec<_>>(), ["/1", "/2", "/3"]);
    assert!(answers.iter().all(|answer| answer.served_by() == answers[0].served_by()), "{answers:?}");
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|request| Page::new(200).body(request.body.clone()).into());
    let body: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let response = burdock.ask(&Request::new("POST", "/").body(body.clone()));
    assert_eq!(response.status, 200);
    assert!(origin.last().body == body && response.body == body);
}

#[test]
fn chunked_bodies_arrive_whole_in_both_directions() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n")
    });
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let response = wire.response();
    assert_eq!((response.text(), origin.last().body), ("hello, world".to_owned(), b"abcde".to_vec()));
    assert_eq!(wire.ask(&Request::get("/")).text(), "hello, world", "the connection is still usable");
}

#[test]
fn a_body_that_ends_with_its_connection_arrives_whole() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Reply::Last(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec()));
    let response = burdock.get("/");
    assert_eq!((response.text(), response.set_cookies().len()), ("until the end".to_owned(), 1));
}

#[test]
fn responses_to_head_and_of_204_and_304_have_no_body() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|request| match request.path() {
        "/304" => Page::new(304).header("ETag", "\"1\"").into(),
        "/204" => Reply::status(204),
        _ => Page::new(200).body("a body").into(),
    });
    let mut wire = burdock.wire();
    let head = wire.ask(&Request::new("HEAD", "/"));
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("6"), 0));
    let unchanged = wire.ask(&Request::get("/304").header("If-None-Match", "\"1\""));
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"1\"")));
    assert_eq!(wire.ask(&Request::get("/204")).status, 204);
    assert_eq!(wire.ask(&Request::get("/")).text(), "a body", "the connection is still usable");
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.response().status, 100);
    wire.send("body");
    let response = wire.response();
    assert_eq!((response.status, response.set_cookies().len(), origin.last().body), (200, 1, b"body".to_vec()));
}

#[test]
fn a_body_sent_in_pieces_arrives_whole() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf ");
    wire.send("whole");
    assert_eq!(wire.response().status, 200);
    assert_eq!(origin.last().body, b"half whole");
}

#[test]
fn an_early_response_reaches_the_client_mid_upload() {
    let site = Site::new();
    let origin = Origin::with("web-1", site.server(1), ReadMode::HeadersOnly);
    origin.respond_with(|_| Reply::Raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno".to_vec()));
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhalf");
    let response = wire.response();
    assert_eq!((response.status, response.text()), (401, "no".to_owned()));
}

#[test]
fn pipelined_requests_may_have_bodies() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|request| Page::new(200).body(request.body.clone()).into());
    let mut wire = burdock.wire();
    let posts = ["one", "two"].map(|body| Request::new("POST", "/").body(body).bytes());
    let chunked = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n".to_vec();
    wire.send([posts.concat(), chunked, Request::get("/").bytes()].concat());
    assert_eq!([(); 4].map(|()| wire.response().text()), ["one", "two", "three", ""]);
}

#[test]
fn an_absolute_target_must_match_the_host() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(burdock.get("http://shop.example.com/x?y=1").status, 200);
    assert!(origin.last().target().ends_with("/x?y=1"), "{}", origin.last().target());
    assert_eq!(burdock.get("http://other.example.com/x").status, 400);
    assert_eq!(burdock.ask(&Request::new("CONNECT", "shop.example.com:443")).status, 405);
    assert_eq!(origin.received().len(), 1);
}
