//! Servers that fail under load: each client is moved once and notices nothing.

use crate::harness::{LoadGenerator, Site, eventually, rounds, wait_until};

const CHECKED: &str = "sticky: cookie
health_check: {http: {path: /healthz}, interval: 300ms, timeout: 300ms, rise: 1, fall: 2}";

#[test]
fn killing_a_server_fails_no_request_and_moves_each_session_once() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2), site.origin_process(3)];
    let burdock = site.shop(3, CHECKED);
    let load = LoadGenerator::start(burdock.listen, 8);
    load.wait_for_requests(rounds(2000));
    servers[0].kill();
    load.wait_for_requests(rounds(4000));
    for outcomes in load.end() {
        let errors: Vec<_> = outcomes.iter().filter(|outcome| outcome.result != Ok(200)).collect();
        assert!(errors.is_empty(), "{} of {}: {:?}", errors.len(), outcomes.len(), errors.first());
        let homes: Vec<_> =
            outcomes.chunk_by(|a, b| a.server == b.server).map(|stay| stay[0].server.as_deref().unwrap()).collect();
        assert!(homes.len() == 1 || homes.len() == 2 && homes[0] == "web-1", "{homes:?}");
        let cookies = outcomes.iter().filter(|outcome| outcome.new_cookie).count();
        assert_eq!(cookies, homes.len(), "one cookie per server");
    }
    let moved = |line: &crate::harness::LogLine| ["redispatched", "down"].contains(&&*line.reason());
    wait_until("a move is in the log", || burdock.access_log(1).iter().any(moved));
}

#[test]
fn a_server_frozen_under_load_goes_down_and_its_sessions_move() {
    let site = Site::new();
    let servers = [site.origin_process(1), site.origin_process(2), site.origin_process(3)];
    let burdock = site.shop(3, &format!("{CHECKED}\ntimeouts: {{read: 1s}}"));
    let load = LoadGenerator::start(burdock.listen, 6);
    load.wait_for_requests(rounds(1000));
    servers[0].stop();
    wait_until("the stopped server is down", || burdock.metrics().sum("burdock_server_up", &[("server", "web-1")]) == 0.0);
    load.wait_for_requests(rounds(2000));
    for outcomes in load.end() {
        let unexpected: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome.result, Ok(200 | 502 | 504))).collect();
        assert!(unexpected.is_empty(), "{:?}", unexpected.first());
        let failed = outcomes.iter().filter(|outcome| outcome.result != Ok(200)).count();
        assert!(failed <= 2, "{failed} requests went to a server known to be down");
        assert_ne!(outcomes.last().unwrap().server.as_deref(), Some("web-1"));
    }
    servers[0].resume();
    eventually("new sessions on the recovered server", || (burdock.get("/").served_by() == "web-1").then_some(()));
}

#[test]
fn a_moved_session_stays_when_its_old_server_returns() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2)];
    let burdock = site.shop(2, "sticky: cookie");
    let mut client = burdock.client_at("web-1");
    servers[0].kill();
    let moved = client.get("/moved");
    assert_eq!((moved.served_by(), moved.set_cookies().len()), ("web-2", 1));
    let line = burdock.log_line("/moved");
    assert_eq!(
        (line.reason(), line.text("from"), line.text("server")),
        ("redispatched".into(), "web-1".into(), "web-2".into())
    );
    assert_eq!(line.text("settled"), "rewritten");
    let _back = site.origin(1);
    let stays = client.get("/stays");
    assert_eq!((stays.served_by(), stays.set_cookies().len()), ("web-2", 0));
    assert_eq!(burdock.log_line("/stays").reason(), "hit");
}

#[test]
fn a_session_on_a_detour_returns_to_its_server() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2)];
    let burdock = site.shop(2, "sticky: cookie\nfailover: {down: temporary}");
    let mut client = burdock.client_at("web-1");
    servers[0].kill();
    for n in 0..3 {
        let away = client.get(&format!("/away/{n}"));
        assert_eq!((away.served_by(), away.set_cookies().len()), ("web-2", 0), "the cookie is unchanged");
    }
    let _back = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(client.get("/back").served_by(), "web-1");
    assert_eq!(burdock.log_line("/back").reason(), "hit");
}

#[test]
fn a_refused_failover_answers_503_with_retry_after() {
    let site = Site::new();
    let servers = site.origins::<2>();
    let burdock = site.shop(2, &format!("{CHECKED}\nfailover: {{down: {{refuse: 503}}}}"));
    let mut client = burdock.client_at("web-1");
    servers[0].fail();
    wait_until("the unhealthy server is down", || burdock.metrics().sum("burdock_server_up", &[("server", "web-1")]) == 0.0);
    let refused = client.get("/refused");
    assert_eq!((refused.status, refused.set_cookies().len()), (503, 0));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(burdock.log_line("/refused").reason(), "refused");
    assert_eq!(burdock.get("/new").served_by(), "web-2", "new clients are not refused");
}

#[test]
fn sessions_of_an_unhealthy_server_move_with_reason_down() {
    let site = Site::new();
    let servers = site.origins::<2>();
    let burdock = site.shop(2, CHECKED);
    let mut client = burdock.client_at("web-1");
    servers[0].fail();
    wait_until("the unhealthy server is down", || burdock.metrics().sum("burdock_server_up", &[("server", "web-1")]) == 0.0);
    assert_eq!(client.get("/moved").served_by(), "web-2");
    let line = burdock.log_line("/moved");
    assert_eq!(
        (line.reason(), line.text("from"), line.text("settled")),
        ("down".into(), "web-1".into(), "rewritten".into())
    );
}

#[test]
fn without_available_servers_clients_get_503_with_retry_after() {
    let site = Site::new();
    let burdock = site.shop(2, "sticky: cookie\nhealth_check: {tcp: {}, interval: 200ms, timeout: 200ms}");
    let response = burdock.get("/");
    assert_eq!((response.status, response.set_cookies().len()), (503, 0));
    assert!(response.header("retry-after").is_some(), "{response:?}");
    assert_eq!(burdock.log_line("/").reason(), "no_server");
}

#[test]
fn without_health_checks_a_dead_upstream_fails_after_trying_each_server_once() {
    let site = Site::new();
    let burdock = site.shop(2, "sticky: cookie");
    let response = burdock.get("/");
    assert!(matches!(response.status, 502 | 503), "{response:?}");
    assert_eq!(burdock.log_line("/").number("tries"), 2.0, "no server is tried twice");
}

#[test]
fn a_tcp_check_marks_a_server_down_and_up_again() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2)];
    let burdock = site.shop(2, "sticky: cookie\nhealth_check: {tcp: {}, interval: 200ms, timeout: 200ms, rise: 1, fall: 1}");
    let up = |server: &str| burdock.metrics().sum("burdock_server_up", &[("server", server)]) > 0.0;
    assert!(up("web-1") && up("web-2"));
    servers[0].kill();
    wait_until("the dead server is down", || !up("web-1"));
    let _back = site.origin(1);
    wait_until("the server is up again", || up("web-1"));
}

#[test]
fn a_detour_that_outlasts_its_limit_becomes_permanent() {
    let site = Site::new();
    let servers = site.origins::<2>();
    let burdock = site.shop(2, &format!("{CHECKED}\nfailover: {{down: {{temporary: 1s}}}}"));
    let mut client = burdock.client_at("web-1");
    servers[0].fail();
    wait_until("the unhealthy server is down", || burdock.metrics().sum("burdock_server_up", &[("server", "web-1")]) == 0.0);
    let away = client.get("/away");
    assert_eq!((away.served_by(), away.set_cookies().len()), ("web-2", 0));
    wait_until("the session moves permanently", || client.get("/").set_cookies().len() == 1);
    servers[0].respond_with(|_| crate::harness::Reply::status(200));
    wait_until("the server is up", || burdock.metrics().sum("burdock_server_up", &[("server", "web-1")]) == 1.0);
    assert_eq!(client.get("/stays").served_by(), "web-2");
}

#[test]
fn sessions_of_a_dead_server_spread_over_the_others() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2), site.origin_process(3)];
    let burdock = site.shop(3, "sticky: cookie");
    let mut clients: Vec<_> = (0..24).map(|_| burdock.client_at("web-1")).collect();
    servers[0].kill();
    let at_web_2 = clients.iter_mut().filter_map(|client| (client.get("/").served_by() == "web-2").then_some(())).count();
    assert!((4..=20).contains(&at_web_2), "{at_web_2} of 24 went to web-2");
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let site = Site::new();
    let burdock = site.shop(1, "sticky: cookie\nhealth_check: {tcp: {}, interval: 200ms, timeout: 200ms}");
    let mut wire = burdock.wire();
    let response = wire.ask(&crate::harness::Request::new("HEAD", "/"));
    assert_eq!(response.status, 503);
    assert!(wire.is_closed(), "the connection carries no body");
}
