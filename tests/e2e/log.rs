//! The access log: one line per request, with the client, the server and the reason for the decision.

use crate::harness::{Reply, Request, Site, wait_until};

#[test]
fn a_log_line_records_client_request_server_and_reason() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut client = burdock.client();
    client.get("/first?q=1");
    client.ask(Request::new("POST", "/second").body("12345"));
    let lines = burdock.access_log(2);
    for (field, value) in [
        ("client", "127.0.0.1"),
        ("http_method", "GET"),
        ("host", "shop.example.com"),
        ("status", "200"),
        ("upstream", "shop"),
        ("server", "web-1"),
        ("reason", "new"),
        ("method", "none"),
        ("settled", "inserted"),
        ("tries", "1"),
    ] {
        assert_eq!(lines[0].text(field), value, "{field} of {:?}", lines[0]);
    }
    for (field, value) in [("http_method", "POST"), ("reason", "hit"), ("method", "cookie"), ("settled", "kept")] {
        assert_eq!(lines[1].text(field), value, "{field} of {:?}", lines[1]);
    }
}

#[test]
fn tokens_never_appear_in_logs_or_metrics() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut client = burdock.client();
    client.get("/");
    client.get("/");
    burdock.access_log(2);
    let log = std::fs::read_to_string(site.path("access.log")).unwrap();
    assert!(!log.contains(client.token()) && !log.contains(&client.token()[16..]), "{log}");
    assert!(!burdock.exposition().contains(client.token()) && !burdock.stderr().contains(client.token()));
}

#[test]
fn client_input_cannot_break_a_log_line() {
    let site = Site::new();
    let _origin = site.origin(1);
    for format in ["json", "text"] {
        let log = site.path(&format!("{format}.log"));
        let burdock = site.burdock(&format!(
            "access_log: {{to: $DIR/{format}.log, format: {format}}}\n{}",
            crate::harness::shop(1, "sticky: cookie")
        ));
        let odd =
            Request::get("/%0a\"}{\\\u{1b}%00").header("User-Agent", "a\"\\ \u{7f}\u{9b} b").header("Referer", "x\t\"y");
        let mut wire = burdock.wire();
        wire.send(odd.bytes());
        let status = wire.response().status;
        assert!(matches!(status, 200 | 400), "{status}");
        assert_eq!(burdock.get("/after").status, 200);
        wait_until("the log lines", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("/after")));
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), if status == 200 { 2 } else { 1 }, "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7f}'), "{text}");
        if format == "json" {
            text.lines().for_each(|line| drop(crate::harness::LogLine::parse(line)));
        }
    }
}

#[test]
fn sigusr1_reopens_the_log_file() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    burdock.get("/before");
    burdock.log_line("/before");
    let (log, rotated) = (site.path("access.log"), site.path("access.log.1"));
    std::fs::rename(&log, &rotated).unwrap();
    burdock.signal("USR1");
    wait_until("the log file exists again", || log.exists());
    burdock.get("/after");
    burdock.log_line("/after");
    assert!(!std::fs::read_to_string(&rotated).unwrap().contains("/after"));
}

#[test]
fn refused_and_failed_requests_are_logged() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\nlimits: {body: 10}\nretry: {tries: 1}");
    origin.respond_with(|request| if request.path() == "/closed" { Reply::Close } else { Reply::status(500) });
    assert_eq!(burdock.ask(&Request::new("POST", "/large").body("more than ten")).status, 413);
    assert_eq!(burdock.get("/failed").status, 500);
    assert_eq!(burdock.get("/closed").status, 502);
    assert_eq!(
        (burdock.log_line("/large").number("status"), burdock.log_line("/large").reason()),
        (413.0, "refused".to_owned())
    );
    assert_eq!(burdock.log_line("/failed").number("status"), 500.0);
    assert_eq!(
        (burdock.log_line("/closed").number("status"), burdock.log_line("/closed").text("settled")),
        (502.0, "none".to_owned())
    );
}

#[test]
fn the_log_defaults_to_text_on_stdout() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(&format!("access_log: {{}}\n{}", crate::harness::shop(1, "sticky: cookie")));
    burdock.get("/first");
    wait_until("a line on stdout", || burdock.stdout().contains("path=/first"));
    let line = burdock.stdout();
    assert!(line.contains(" reason=new ") && line.contains(" server=web-1 "), "{line}");
    burdock.signal("USR1");
    burdock.get("/second");
    wait_until("a line after SIGUSR1", || burdock.stdout().contains("path=/second"));
}

#[test]
fn shutdown_loses_no_log_lines() {
    let site = Site::new();
    let _origin = site.origin(1);
    let mut burdock = site.shop(1, "sticky: cookie");
    let mut client = burdock.client();
    (0..50).for_each(|n| drop(client.get(&format!("/{n}"))));
    burdock.signal("TERM");
    burdock.wait_for_exit_and_output();
    assert_eq!(burdock.access_log(0).len(), 50);
}

#[test]
fn session_ids_in_urls_are_never_logged() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    burdock.get("/cart;jsessionid=SECRET/items;v=SECRET?sid=SECRET");
    assert_eq!(burdock.log_line("/cart/items").reason(), "new");
    assert!(!std::fs::read_to_string(site.path("access.log")).unwrap().contains("SECRET"));
}
