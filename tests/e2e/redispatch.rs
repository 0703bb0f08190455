//! When a request that failed at one server goes to another: never after a response has begun, and never a POST that a server may
//! have seen.

use crate::harness::{Burdock, Origin, Page, ReceivedRequest, Reply, Request, Site};

/// A client tied to `web-1`, whose idle connection there is stale: the next request on it gets no response. The connection is one
/// that requests with a body use, whichever engine serves them.
fn make_stale(burdock: &Burdock, origins: &[Origin; 2]) -> String {
    let token = burdock.client_at("web-1").token().to_owned();
    let posted = burdock.ask(&Request::new("POST", "/").header("Cookie", &format!("BURDOCK_shop={token}")).body("x"));
    assert_eq!(posted.served_by(), "web-1");
    origins[0].respond_with(|request| if request.earlier > 0 { Reply::Close } else { Reply::status(200) });
    format!("BURDOCK_shop={token}")
}

fn close(_: &ReceivedRequest) -> Reply {
    Reply::Close
}

/// How often a server received a request for this path.
fn seen(origin: &Origin, path: &str) -> usize {
    origin.received().iter().filter(|request| request.path() == path).count()
}

#[test]
fn a_get_on_a_stale_connection_is_retried_on_a_fresh_one() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let cookie = make_stale(&burdock, &origins);
    let response = burdock.ask(&Request::get("/x").header("Cookie", &cookie));
    assert_eq!(response.status, 200);
    assert_eq!(response.served_by(), "web-1", "a stale connection is not held against its server");
    assert!(response.set_cookies().is_empty());
}

#[test]
fn a_post_on_a_stale_connection_is_never_retried() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let cookie = make_stale(&burdock, &origins);
    let response = burdock.ask(&Request::new("POST", "/pay").header("Cookie", &cookie).body("once"));
    assert_eq!(response.status, 502);
    assert!(response.set_cookies().is_empty());
    assert_eq!((seen(&origins[0], "/pay"), seen(&origins[1], "/pay")), (1, 0));
}

#[test]
fn a_small_put_on_a_stale_connection_is_retried_in_full() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let cookie = make_stale(&burdock, &origins);
    let response = burdock.ask(&Request::new("PUT", "/x").header("Cookie", &cookie).body("abc"));
    assert_eq!(response.status, 200);
    let answered = origins.iter().find(|origin| origin.name == response.served_by()).unwrap();
    assert_eq!(answered.last().body, b"abc");
}

#[test]
fn a_put_too_large_to_buffer_is_not_retried() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let cookie = make_stale(&burdock, &origins);
    let response = burdock.ask(&Request::new("PUT", "/x").header("Cookie", &cookie).body(vec![b'x'; 100_000]));
    assert_eq!(response.status, 502);
    assert_eq!(seen(&origins[1], "/x"), 0);
}

#[test]
fn a_get_whose_fresh_connection_closes_is_redispatched() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    origins[0].respond_with(close);
    for n in 0..4 {
        let response = burdock.get(&format!("/{n}"));
        assert_eq!((response.status, response.served_by(), response.set_cookies().len()), (200, "web-2", 1));
    }
    let tried_twice: Vec<_> = burdock.access_log(4).into_iter().filter(|line| line.number("tries") == 2.0).collect();
    assert!(!tried_twice.is_empty() && tried_twice.iter().all(|line| line.reason() == "redispatched"), "{tried_twice:?}");
}

#[test]
fn a_post_whose_fresh_connection_closes_gets_a_502() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    origins.iter().for_each(|origin| origin.respond_with(close));
    let response = burdock.ask(&Request::new("POST", "/pay").body("once"));
    assert_eq!((response.status, response.set_cookies().len()), (502, 0));
    assert_eq!(seen(&origins[0], "/pay") + seen(&origins[1], "/pay"), 1);
}

#[test]
fn a_refused_connection_redispatches_any_request_with_its_body() {
    let site = Site::new();
    let origin = site.origin(2);
    let burdock = site.shop(2, "sticky: cookie");
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        for body in ["", "a body"] {
            let response = burdock.ask(&Request::new(method, "/x").body(body));
            assert_eq!((response.status, response.served_by(), response.set_cookies().len()), (200, "web-2", 1), "{method}");
            assert_eq!(origin.last().body, body.as_bytes());
        }
    }
    let large = vec![b'x'; 300_000];
    for _ in 0..2 {
        assert_eq!(burdock.ask(&Request::new("POST", "/large").body(large.clone())).status, 200);
        assert_eq!(origin.last().body, large);
    }
}

#[test]
fn the_cookie_names_the_server_that_answered() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{cookie: {token: plain}}]");
    origins[0].respond_with(close);
    origins[1].respond_with(close);
    for _ in 0..3 {
        let response = burdock.get("/");
        assert_eq!(response.set_cookies().len(), 1);
        assert_eq!((response.served_by(), response.cookie("BURDOCK_").unwrap().1), ("web-3", "web-3"));
    }
}

#[test]
fn attempts_never_exceed_retry_tries() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie\nretry: {tries: 2}");
    origins.iter().for_each(|origin| origin.respond_with(close));
    let response = burdock.get("/limited");
    assert_eq!(response.status, 502);
    assert_eq!(origins.iter().map(|origin| seen(origin, "/limited")).sum::<usize>(), 2);
    assert_eq!(burdock.log_line("/limited").number("tries"), 2.0);
}

#[test]
fn one_try_means_no_retry() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nretry: {tries: 1}");
    origins.iter().for_each(|origin| origin.respond_with(close));
    assert_eq!(burdock.get("/once").status, 502);
    assert_eq!(origins.iter().map(|origin| seen(origin, "/once")).sum::<usize>(), 1);
}

#[test]
fn failures_not_listed_in_retry_on_are_not_retried() {
    let site = Site::new();
    let origin = site.origin(1);
    let _other = site.origin(2);
    let burdock = site.shop(2, "sticky: cookie\nretry: {on: [connect]}");
    origin.respond_with(close);
    let statuses: Vec<_> = (0..2).map(|_| burdock.get("/").status).collect();
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
}

#[test]
fn a_read_timeout_gets_a_504_without_a_retry() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\ntimeouts: {read: 500ms}");
    origins.iter().for_each(|origin| origin.respond_with(|_| Reply::Silence));
    let response = burdock.get("/silence");
    assert_eq!((response.status, response.set_cookies().len()), (504, 0));
    assert_eq!(origins.iter().map(|origin| seen(origin, "/silence")).sum::<usize>(), 1);
}

#[test]
fn a_truncated_response_is_never_retried() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    origins.iter().for_each(|origin| {
        origin.respond_with(|_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()))
    });
    let mut wire = burdock.wire();
    wire.send(Request::get("/half").bytes());
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(wire.take(4).unwrap(), b"half");
    assert!(wire.is_closed());
    assert_eq!(origins.iter().map(|origin| seen(origin, "/half")).sum::<usize>(), 1);
}

#[test]
fn a_response_that_is_not_http_becomes_a_502() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Reply::Last(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()));
    let response = burdock.get("/");
    assert_eq!((response.status, response.set_cookies().len()), (502, 0));
}

#[test]
fn same_server_retries_keep_a_tied_session_in_place() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nretry: {same_server: 2}");
    let mut client = burdock.client_at("web-1");
    let hiccups = std::sync::atomic::AtomicUsize::new(0);
    origins[0].respond_with(move |_| match hiccups.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        // The first attempt uses an idle connection, the next one a fresh connection.
        0 | 1 => Reply::Close,
        _ => Reply::status(200),
    });
    let response = client.get("/x");
    assert_eq!((response.served_by(), response.set_cookies().len()), ("web-1", 0));
}

#[test]
fn a_chunked_post_survives_a_refused_connection_whole() {
    let site = Site::new();
    let origin = site.origin(2);
    let burdock = site.shop(2, "sticky: cookie");
    for _ in 0..2 {
        let mut wire = burdock.wire();
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(wire.response().status, 200);
        assert_eq!(origin.last().body, b"hello");
    }
}

#[test]
fn a_server_failure_after_early_hints_gets_a_502() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Reply::Last(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".to_vec()));
    let mut wire = burdock.wire();
    wire.send(Request::get("/").bytes());
    assert_eq!(wire.response().status, 103);
    let last = wire.response();
    assert_eq!((last.status, last.set_cookies().len()), (502, 0));
    assert_eq!(burdock.log_line("/").number("status"), 502.0);
}

#[test]
fn a_server_failure_after_100_continue_gets_a_502() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(close);
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.response().status, 100);
    wire.send("body");
    assert_eq!(wire.response().status, 502);
}

#[test]
fn one_server_that_breaks_off_is_named_and_gives_502() {
    let site = Site::new();
    let [origin] = site.origins::<1>();
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(close);
    for request in [Request::get("/get"), Request::new("POST", "/post").body("x")] {
        let response = burdock.ask(&request);
        assert_eq!((response.status, response.header("retry-after")), (502, None));
    }
    for path in ["/get", "/post"] {
        let line = burdock.log_line(path);
        assert_eq!([line.reason(), line.text("server"), line.text("tries")], ["new", "web-1", "1"], "{path}");
    }
}

/// Six kept connections to `web-1`, all dead now, and a cookie of a session there.
fn with_dead_connections(burdock: &Burdock, origin: &Origin) -> String {
    let token = burdock.client_at("web-1").token().to_owned();
    let cookie = format!("BURDOCK_shop={token}");
    let together = std::sync::Arc::new(std::sync::Barrier::new(6));
    origin.respond_with(move |request| {
        if request.path() == "/warm" {
            together.wait();
        }
        Reply::status(200)
    });
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| burdock.ask(&Request::get("/warm").header("Cookie", &cookie)));
        }
    });
    origin.respond_with(|request| if request.earlier > 0 { Reply::Close } else { Reply::status(200) });
    cookie
}

#[test]
fn dead_kept_connections_do_not_use_up_the_tries() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nretry: {tries: 1}");
    let cookie = with_dead_connections(&burdock, &origins[0]);
    let response = burdock.ask(&Request::get("/x").header("Cookie", &cookie));
    assert_eq!((response.status, response.served_by()), (200, "web-1"), "the second attempt gets a new connection");
    assert!(response.set_cookies().is_empty());
}

#[test]
fn a_server_that_also_closes_new_connections_is_left_for_another() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let cookie = with_dead_connections(&burdock, &origins[0]);
    origins[0].respond_with(close);
    let response = burdock.ask(&Request::get("/x").header("Cookie", &cookie));
    assert_eq!((response.status, response.served_by()), (200, "web-2"));
    assert_eq!(seen(&origins[0], "/x"), 2, "one dead connection and one new one");
    assert_eq!(burdock.log_line("/x").reason(), "redispatched");
}

#[test]
fn a_status_in_retry_when_sends_idempotent_requests_to_another_server() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nretry: {when: [connect, closed, status_503]}");
    let mut tied = burdock.client_at("web-1");
    origins[0].respond_with(|request| Reply::status(if request.path() == "/broken" { 500 } else { 503 }));
    assert_eq!(tied.ask(Request::new("POST", "/post").body("x")).status, 503, "a POST is not repeated");
    assert_eq!(tied.get("/broken").status, 500, "another status");
    let response = tied.get("/get");
    assert_eq!((response.status, response.served_by(), response.set_cookies().len()), (200, "web-2", 1));
    let line = burdock.log_line("/get");
    assert_eq!([line.reason(), line.text("tries"), line.text("settled")], ["redispatched", "2", "rewritten"]);
    assert_eq!(tied.get("/next").served_by(), "web-2", "the session has moved");
}

#[test]
fn a_post_that_a_server_may_have_seen_is_repeated_if_so_configured() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nretry: {when: [connect, closed, status_503], non_idempotent: true}");
    let token = burdock.client_at("web-1").token().to_owned();
    let post =
        |path: &str, body: &str| Request::new("POST", path).header("Cookie", &format!("BURDOCK_shop={token}")).body(body);
    origins[0].respond_with(|request| if request.path() == "/closed" { Reply::Close } else { Reply::status(503) });
    for path in ["/closed", "/status"] {
        let response = burdock.ask(&post(path, "order=7"));
        assert_eq!((response.status, response.served_by()), (200, "web-2"), "{path}");
        assert_eq!(origins[1].last().body, b"order=7", "{path}");
    }
    let long = "x".repeat(200_000);
    assert_eq!(burdock.ask(&post("/long", &long)).status, 503, "its beginning is gone");
    assert_eq!(seen(&origins[1], "/long"), 0);
}

#[test]
fn a_status_without_another_server_reaches_the_client() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let retry = "retry: {when: [status_503]}";
    let all_say_503 = |request: &ReceivedRequest| match request.path() {
        "/strict" => Reply::status(503),
        _ => Page::new(503).header("X-Own", "1").into(),
    };
    let burdock = site.shop(2, &format!("sticky: cookie\n{retry}"));
    origins.iter().for_each(|origin| origin.respond_with(all_say_503));
    let response = burdock.get("/all");
    assert_eq!((response.status, response.header("x-own")), (503, Some("1")), "the last server's own answer");
    assert_eq!(seen(&origins[0], "/all") + seen(&origins[1], "/all"), 2);
    drop(burdock);
    let burdock = site.shop(2, &format!("sticky: [{{cookie: {{strict: true}}}}]\n{retry}"));
    origins.iter().for_each(|origin| origin.respond_with(|_| Reply::status(200)));
    let mut tied = burdock.client_at("web-1");
    origins[0].respond_with(all_say_503);
    assert_eq!(tied.get("/strict").served_by(), "web-1");
}
