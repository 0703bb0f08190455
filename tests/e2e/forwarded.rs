//! Forwarding headers: what servers see of the client, and which proxies Burdock trusts.

use crate::harness::{Burdock, Origin, ReceivedRequest, Request, Site};

fn before(site: &Site, listener: &str) -> (Origin, Burdock) {
    let origin = site.origin(1);
    let burdock = site.burdock(&format!("listeners: [{listener}]\n{}", crate::harness::shop(1, "sticky: cookie")));
    (origin, burdock)
}

fn seen(origin: &Origin, burdock: &Burdock, request: Request) -> ReceivedRequest {
    assert_eq!(burdock.ask(&request).status, 200);
    origin.last()
}

#[test]
fn forwarding_headers_from_untrusted_clients_are_discarded() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "$IP:8080");
    let forged = Request::get("/lies")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("X-Forwarded-For", "7.7.7.7")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil.example.com")
        .header("X-Forwarded-Port", "666")
        .header("X-Real-IP", "6.6.6.6")
        .header("Forwarded", "for=6.6.6.6;proto=https")
        .header("Burdock-Anything", "1");
    let seen = seen(&origin, &burdock, forged);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    for line in seen.head.lines() {
        let leaked = ["6.6.6.6", "7.7.7.7", "evil", "666", "burdock-anything"]
            .iter()
            .any(|value| line.to_ascii_lowercase().contains(value));
        assert!(!leaked, "{line}");
    }
    assert_eq!(burdock.log_line("/lies").text("client"), "127.0.0.1");
}

#[test]
fn forwarding_headers_from_trusted_proxies_are_kept_and_extended() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "{address: $IP:8080, trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]}");
    let forwarded =
        Request::get("/told").header("X-Forwarded-For", "203.0.113.9, 10.1.2.3").header("X-Forwarded-Proto", "https");
    let seen = seen(&origin, &burdock, forwarded);
    assert_eq!(seen.all("x-forwarded-for").join(", "), "203.0.113.9, 10.1.2.3, 127.0.0.1");
    assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    assert_eq!(burdock.log_line("/told").text("client"), "203.0.113.9");
}

#[test]
fn the_client_is_the_rightmost_untrusted_address() {
    let site = Site::new();
    let (_origin, burdock) = before(&site, "{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}");
    let spoofed = Request::get("/spoofed").header("X-Forwarded-For", "6.6.6.6, 203.0.113.9");
    assert_eq!(burdock.ask(&spoofed).status, 200);
    assert_eq!(burdock.log_line("/spoofed").text("client"), "203.0.113.9");
}

#[test]
fn servers_see_the_host_that_the_client_requested() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "$IP:8080");
    let seen = seen(&origin, &burdock, Request::get("/").header("Host", "shop.example.com:8080"));
    assert_eq!(seen.all("host"), ["shop.example.com:8080"]);
}

#[test]
fn other_headers_pass_byte_for_byte() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "$IP:8080");
    let odd = "  a,  \"b;c\" \u{e9} \t=d";
    let seen = seen(
        &origin,
        &burdock,
        Request::get("/").header("X-Odd", odd).header("X-Odd", "2").header("Accept-Encoding", "gzip;q=0.5"),
    );
    assert_eq!(seen.all("x-odd"), ["  a,  \"b;c\" \u{c3}\u{a9} \t=d".trim(), "2"]);
    assert_eq!(seen.all("accept-encoding"), ["gzip;q=0.5"]);
}

#[test]
fn trailers_cannot_forge_forwarding_headers() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "$IP:8080");
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-For\r\n\r\n1\r\na\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    let response = wire.response();
    assert!(matches!(response.status, 200 | 400), "{response:?}");
    assert!(origin.received().iter().all(|request| !(request.head.clone() + &request.trailers).contains("6.6.6.6")));
}

#[test]
fn each_listener_has_its_own_trusted_proxies() {
    let site = Site::new();
    let _origin = site.origin(1);
    let listeners = "listeners: [{address: $IP:8081, trusted_proxies: [127.0.0.0/8]}, $IP:8080]";
    let burdock = site.burdock(&format!("{listeners}\n{}", crate::harness::shop(1, "sticky: cookie")));
    let forwarded = |path: &str| Request::get(path).header("X-Forwarded-For", "203.0.113.9");
    burdock.ask(&forwarded("/8080"));
    crate::harness::Wire::open(site.at(8081)).ask(&forwarded("/8081"));
    assert_eq!(burdock.log_line("/8080").text("client"), "127.0.0.1");
    assert_eq!(burdock.log_line("/8081").text("client"), "203.0.113.9");
}

#[test]
fn the_standard_forwarded_header_is_kept_and_extended() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "{address: $IP:8080, trusted_proxies: [127.0.0.0/8], forwarded: rfc7239}");
    let request = Request::get("/").header("Forwarded", "for=203.0.113.9;proto=https").header("X-Forwarded-For", "6.6.6.6");
    let seen = seen(&origin, &burdock, request);
    let forwarded = seen.all("forwarded").join(", ").to_ascii_lowercase();
    assert!(forwarded.starts_with("for=203.0.113.9;proto=https, ") && forwarded.contains("for=127.0.0.1"), "{forwarded}");
}

const BOTH_KINDS: &str = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8], forwarded: rfc7239}, \
                          {address: $IP:8081, trusted_proxies: [127.0.0.0/8], forwarded: both}]";

#[test]
fn a_proxy_that_sends_only_the_standard_header_names_the_client_and_its_scheme() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(&format!("{BOTH_KINDS}\n{}", crate::harness::shop(1, "sticky: cookie")));
    for port in [8080, 8081] {
        let path = format!("/{port}");
        let request = Request::get(&path)
            .header("Forwarded", "for=6.6.6.6;proto=http, For=\"[2001:db8::7]:4711\"; host=\"a,b;c\"; Proto=\"https\"");
        let response = crate::harness::Wire::open(site.at(port)).ask(&request);
        let set = response.header("set-cookie").unwrap_or_default().to_owned();
        assert!(set.contains("; Secure"), "{port}: {set}");
        assert_eq!(burdock.log_line(&path).text("client"), "2001:db8::7", "{port}");
    }
}

#[test]
fn servers_get_in_one_kind_of_header_what_the_proxy_said_in_the_other() {
    let site = Site::new();
    let origin = site.origin(1);
    let _burdock = site.burdock(&format!("{BOTH_KINDS}\n{}", crate::harness::shop(1, "sticky: cookie")));
    let seen = |port: u16, request: Request| {
        let request = request.header("Host", "shop.example.com");
        assert_eq!(crate::harness::Wire::open(site.at(port)).ask(&request).status, 200);
        let seen = origin.last();
        ["forwarded", "x-forwarded-for", "x-forwarded-proto"].map(|name| seen.all(name).join(" | "))
    };
    let told_by_x = || Request::get("/").header("X-Forwarded-For", "203.0.113.9").header("X-Forwarded-Proto", "https");
    let told_by_standard = || Request::get("/").header("Forwarded", "for=203.0.113.9;proto=https");
    let standard = "for=203.0.113.9;proto=https, for=127.0.0.1;host=\"shop.example.com\";proto=http";
    let x = "203.0.113.9, 127.0.0.1";
    assert_eq!(seen(8080, told_by_x()), [standard, "", ""]);
    assert_eq!(seen(8080, told_by_standard()), [standard, "", ""]);
    assert_eq!(seen(8081, told_by_x()), [standard, x, "https"]);
    assert_eq!(seen(8081, told_by_standard()), [standard, x, "https"]);
}

#[test]
fn clients_of_a_proxy_on_one_connection_are_not_one_session_and_an_untrusted_proxy_gets_a_warning() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let mut wire = burdock.wire();
    let mut served = std::collections::BTreeSet::new();
    for n in 0..6 {
        let request = Request::get("/").header("X-Forwarded-For", &format!("203.0.113.{n}")).header("Via", "1.1 front");
        let response = wire.ask(&request);
        served.insert(response.served_by().to_owned());
    }
    assert_eq!(served.len(), 3, "{served:?}");
    let warnings = burdock.stderr().lines().filter(|line| line.contains("trusted_proxies")).count();
    assert_eq!(warnings, 1);
}

#[test]
fn a_request_that_goes_round_ends_after_ten_passes() {
    let (here, there) = (Site::new(), Site::new());
    let leading_to =
        |site: &Site| format!("upstreams: {{shop: {{servers: [{{id: web-1, address: '{}'}}]}}}}", site.listen());
    let first = here.burdock(&leading_to(&there));
    let second = there.burdock(&leading_to(&here));
    assert_eq!(first.get("/round").status, 508);
    for burdock in [&first, &second] {
        let lines = burdock.access_log(6);
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().all(|line| line.text("status") == "508"));
    }
    second.wait_for_log("shop: a request has passed ten Burdocks and gets 508");
    assert_eq!(first.get("/again").status, 508, "neither is blocked or out of descriptors");
}

#[test]
fn only_relayed_requests_carry_a_count_of_passes() {
    let site = Site::new();
    let (origin, burdock) = before(&site, "$IP:8080");
    assert_eq!(seen(&origin, &burdock, Request::get("/direct")).header("burdock-hops"), None);
    let relayed = Request::get("/relayed").header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(seen(&origin, &burdock, relayed).header("burdock-hops"), Some("1"));
    let claims = Request::get("/claims").header("Burdock-Hops", "10");
    assert_eq!(burdock.ask(&claims).status, 508);
}
