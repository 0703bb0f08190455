//! HTTP/1.1 as it comes: early hints, pipelines, upgrades, bodies of all kinds.

use crate::harness::{Burdock, Manners, Origin, Page, Reply, Request, Response, Site, Wire, wait_until};

#[test]
fn early_hints_come_first_and_carry_no_cookie() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Reply::raw("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
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
    let site = Site::take();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    for origin in &origins {
        origin.behave(|request| Page::new(200).body(request.path()).into());
    }
    let mut wire = burdock.wire();
    wire.send(["/1", "/2", "/3"].map(|path| Request::get(path).bytes()).concat());
    let answers: Vec<Response> = (0..3).map(|_| wire.response()).collect();
    assert_eq!(answers.iter().map(Response::text).collect::<Vec<_>>(), ["/1", "/2", "/3"]);
    assert!(answers.iter().all(|answer| answer.served_by() == answers[0].served_by()), "{answers:?}");
}

#[test]
fn a_connection_is_upgraded_tied_and_stays_open() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()));
    // Pingora may tear an upgraded connection in its first moment, about twice in ten thousand.
    let upgraded = (0..3).find_map(|_| upgrade(burdock.wire()));
    let (mut wire, response) = upgraded.expect("an upgrade that holds");
    assert_eq!((response.header("upgrade"), response.set_cookies().len()), (Some("websocket"), 1));
    for n in 0..5 {
        let message = format!("message {n}");
        wire.send(&message);
        assert_eq!(wire.take(message.len()).unwrap(), message.as_bytes());
    }
}

/// An upgraded connection that has carried its first bytes both ways.
fn upgrade(mut wire: Wire) -> Option<(Wire, Response)> {
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let response = wire.ask(&request);
    assert_eq!(response.status, 101, "{response:?}");
    wire.try_send(b"hello").ok()?;
    (wire.take(5).ok()? == b"hello").then_some((wire, response))
}

#[test]
fn an_upgraded_connection_may_be_silent_longer_than_a_request() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {read: 200ms, upgraded: 60s}");
    origin.behave(|request| match request.path() {
        "/silence" => Reply::Silence,
        _ => Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()),
    });
    let (mut wire, _) = (0..3).find_map(|_| upgrade(burdock.wire())).unwrap();
    // Two requests that run into the read timeout, one after the other, are a clock.
    assert_eq!([burdock.get("/silence").status, burdock.get("/silence").status], [504, 504]);
    wire.send("still");
    assert_eq!(wire.take(5).unwrap(), b"still");
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|request| Page::new(200).body(request.body.clone()).into());
    let body: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let response = burdock.ask(&Request::new("POST", "/").body(body.clone()));
    assert_eq!(response.status, 200);
    assert!(origin.last().body == body && response.body == body);
}

#[test]
fn chunked_bodies_arrive_whole_in_both_directions() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"));
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let response = wire.response();
    assert_eq!((response.text(), origin.last().body), ("hello, world".to_owned(), b"abcde".to_vec()));
    assert_eq!(wire.ask(&Request::get("/")).text(), "hello, world", "the connection is still good");
}

#[test]
fn a_body_that_ends_with_its_connection_arrives_whole() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Reply::Last(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec()));
    let response = burdock.get("/");
    assert_eq!((response.text(), response.set_cookies().len()), ("until the end".to_owned(), 1));
}

#[test]
fn answers_without_a_body_have_none() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|request| match request.path() {
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
    assert_eq!(wire.ask(&Request::get("/")).text(), "a body", "the connection is still good");
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let site = Site::take();
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
fn a_client_that_leaves_in_the_middle_of_an_answer_leaves_nothing_behind() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Page::new(200).body(vec![b'x'; 5 * 1024 * 1024]).into());
    for _ in 0..5 {
        let mut wire = burdock.wire();
        wire.send(Request::get("/large").bytes());
        wire.head().unwrap();
        wire.take(1000).unwrap();
    }
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    origin.behave(|_| Reply::status(200));
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(burdock.log(6).len(), 6, "each has its line");
}

#[test]
fn a_client_that_leaves_while_the_server_thinks_leaves_nothing_behind() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|request| if request.path() == "/think" { Reply::Silence } else { Reply::status(200) });
    let mut wire = burdock.wire();
    wire.send(Request::get("/think").bytes());
    wait_until("the server thinks", || origin.received().len() == 1);
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[]), 1.0);
    drop(wire);
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    assert_eq!(burdock.get("/").status, 200);
}

#[test]
fn a_body_sent_in_pieces_arrives_whole() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf ");
    wire.send("whole");
    assert_eq!(wire.response().status, 200);
    assert_eq!(origin.last().body, b"half whole");
}

#[test]
fn an_answer_before_the_bodys_end_reaches_the_client() {
    let site = Site::take();
    let origin = Origin::with("web-1", site.server(1), Manners::Hasty);
    origin.behave(|_| Reply::Raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno".to_vec()));
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhalf");
    let response = wire.response();
    assert_eq!((response.status, response.text()), (401, "no".to_owned()));
}

#[test]
fn a_connection_that_is_to_be_closed_is_closed() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("GET / HTTP/1.0\r\nConnection: close\r\n\r\n");
    assert_eq!(wire.response().status, 200);
    assert!(wire.is_closed());
}

#[test]
fn connections_to_servers_are_kept_and_shared() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for _ in 0..10 {
        assert_eq!(burdock.get("/").status, 200);
    }
    let fresh = origin.received().iter().filter(|request| request.earlier == 0).count();
    assert!(fresh <= 2, "{fresh} connections for 10 requests");
}

#[test]
fn a_pipeline_may_hold_bodies() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|request| Page::new(200).body(request.body.clone()).into());
    let mut wire = burdock.wire();
    let posts = ["one", "two"].map(|body| Request::new("POST", "/").body(body).bytes());
    let chunked = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n".to_vec();
    wire.send([posts.concat(), chunked, Request::get("/").bytes()].concat());
    assert_eq!([(); 4].map(|()| wire.response().text()), ["one", "two", "three", ""]);
}

#[test]
fn an_upgrade_goes_to_the_clients_server_and_counts_as_in_flight() {
    let site = Site::take();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let client = burdock.client_at("web-2");
    for origin in &origins {
        let switch = format!("HTTP/1.1 101 Switching Protocols\r\nX-Served-By: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", origin.name);
        origin.behave(move |_| Reply::Echo(switch.clone().into_bytes()));
    }
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let mut wire = burdock.wire();
    let response = wire.ask(&request.header("Cookie", &format!("BURDOCK_shop={}", client.token())));
    assert_eq!((response.status, response.served_by(), response.set_cookies().len()), (101, "web-2", 0));
    let in_flight = || burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-2")]);
    assert_eq!(in_flight(), 1.0);
    drop(wire);
    wait_until("its place is free", || in_flight() == 0.0);
}

fn impatient(site: &Site) -> Burdock {
    site.burdock(&format!("listeners: [{{address: $IP:8080, keepalive_timeout: 1s}}]\n{}", crate::harness::shop(1, "sticky: cookie")))
}

#[test]
fn a_client_connection_is_closed_when_its_next_request_stays_away() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = impatient(&site);
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    assert!(!wire.has_news(), "it is kept for a while");
    assert!(wire.is_closed());
}

#[test]
fn a_client_connection_on_which_nothing_comes_is_closed_too() {
    let site = Site::take();
    let burdock = impatient(&site);
    assert!(burdock.wire().is_closed());
}

#[test]
fn a_connection_to_a_server_is_closed_before_the_server_would() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {keepalive: 1s}");
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(origin.connections(), 1, "it is kept for a while");
    wait_until("it is closed", || origin.connections() == 0);
}

#[test]
fn a_target_may_be_absolute_when_it_agrees_with_its_host() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    assert_eq!(burdock.get("http://shop.example.com/x?y=1").status, 200);
    assert!(origin.last().target().ends_with("/x?y=1"), "{}", origin.last().target());
    assert_eq!(burdock.get("http://other.example.com/x").status, 400);
    assert_eq!(burdock.ask(&Request::new("CONNECT", "shop.example.com:443")).status, 405);
    assert_eq!(origin.received().len(), 1);
}
