//! What becomes of a request's head: what a server gets, or why nothing does.

use proptest::prelude::*;

use super::fault::RequestFault::{self, *};
use super::head_end::HeadEnd;
use super::length::BodyLength;
use super::request_head::{Answerer, Form, RequestHead, Upgrade, Version};
use super::upgrade::{AllowedUpgrade, AllowedUpgrades};

/// The head as it goes on.
fn sent_to(head: &str, allowed: &AllowedUpgrades) -> Result<String, RequestFault> {
    let end = HeadEnd::default().find(head.as_bytes())?.expect("a whole head");
    assert_eq!(end, head.len(), "nothing behind the head: {head:?}");
    let read = RequestHead::read(head.as_bytes(), allowed)?;
    Ok(match read.form {
        Form::AsReceived => head.to_owned(),
        Form::ToRewrite => {
            let mut out = Vec::new();
            read.write(allowed, &mut out);
            String::from_utf8(out).unwrap()
        }
    })
}

fn sent(head: &str) -> Result<String, RequestFault> {
    sent_to(head, &AllowedUpgrades::default())
}

/// The lines behind `Host` that a request with these lines goes on with.
fn lines(lines: &str) -> Result<String, RequestFault> {
    let sent = sent(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))?;
    Ok(sent.strip_prefix("POST / HTTP/1.1\r\nHost: a\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned())
}

fn line(line: &str) -> Result<String, RequestFault> {
    sent(&format!("{line}\r\nHost: a\r\n\r\n")).map(|sent| sent.split("\r\n").next().unwrap().to_owned())
}

fn host(host: &str) -> Result<(), RequestFault> {
    sent(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).map(drop)
}

fn read<T>(head: &str, of: impl Fn(&RequestHead<'_>) -> T) -> T {
    of(&RequestHead::read(head.as_bytes(), &AllowedUpgrades::default()).unwrap())
}

#[test]
fn a_plain_request_goes_on_as_it_came() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a?b=c|d HTTP/1.1\r\nhOsT: a.example:8080\r\nConnection: Keep-Alive\r\nX:\r\nY: \ta b\t \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        assert_eq!(sent(head).as_deref(), Ok(head));
    }
}

#[test]
fn a_request_line_has_three_parts() {
    for bad in [
        "Extra GET / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "G{T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GET / HTTP/1.x",
    ] {
        assert_eq!(line(bad), Err(RequestLine), "{bad:?}");
    }
    for bad in ["GET x HTTP/1.1", "GET /\0 HTTP/1.1", "GET * HTTP/1.1", "GET a:80 HTTP/1.1", "GET /#f HTTP/1.1"] {
        assert_eq!(line(bad), Err(Target), "{bad:?}");
    }
    assert_eq!(line("GET / HTTP/2.0"), Err(Version));
    assert_eq!(line("CONNECT a:443 HTTP/1.1"), Err(Connect));
    assert_eq!(line("GET / HTTP/1.2").as_deref(), Ok("GET / HTTP/1.1"), "1.2 is read as 1.1");
}

#[test]
fn a_server_gets_one_length() {
    for twice in ["Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n", "Content-Length: 0005\r\n"] {
        assert_eq!(lines(twice).as_deref(), Ok("Content-Length: 5\r\n"), "{twice:?}");
    }
    assert_eq!(lines("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n"), Err(LengthsDiffer));
    assert_eq!(lines("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Err(LengthAndCoding));
    assert_eq!(lines("Transfer-Encoding: gzip, chunked\r\n"), Err(CodingUnknown));
    assert_eq!(lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Err(Coding));
    assert_eq!(lines("Transfer-Encoding: CHUNKED\r\n").as_deref(), Ok("Transfer-Encoding: chunked\r\n"));
    assert_eq!(sent("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(Coding));
    assert_eq!(read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n", |head| head.body), BodyLength::Known(7));
}

#[test]
fn a_field_line_is_a_name_a_colon_and_a_value() {
    for bad in [
        "X : a\r\n",
        " X: a\r\n",
        ": a\r\n",
        "X\r\n",
        "X: a\r\n b\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
        "X(: a\r\n",
        "Xé: a\r\n",
        "X: \x7f\r\n",
    ] {
        assert_eq!(lines(bad), Err(Field), "{bad:?}");
    }
    assert_eq!(lines("X: a\n"), Err(LineEnd));
    assert_eq!(lines(&"X: y\r\n".repeat(255)).map(|lines| lines.len()), Ok(255 * 6));
    assert_eq!(lines(&"X: y\r\n".repeat(256)), Err(FieldCount));
}

#[test]
fn host_is_a_host_and_comes_once() {
    assert_eq!(sent("GET / HTTP/1.1\r\nX: a\r\n\r\n"), Err(NoHost));
    assert_eq!(sent("GET http://a/ HTTP/1.1\r\n\r\n"), Err(NoHost));
    assert_eq!(sent("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), Err(HostTwice));
    for bad in ["a b", "a/b", "a, b", "x/y", "x:80a"] {
        assert_eq!(host(bad), Err(Host), "{bad:?}");
    }
}

#[test]
fn the_host_of_an_absolute_target_counts() {
    for (target, host) in [
        ("http://app.example/x", "app.example"),
        ("http://app.example:80/x", "app.example"),
        ("http://app.example/x", "app.example:80"),
        ("http://APP.example/x", "app.example"),
    ] {
        let sent = sent(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(sent, Ok(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    }
    assert_eq!(sent("GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n"), Err(HostDiffers));
    assert_eq!(sent("GET http://a/x HTTP/1.0\r\n\r\n").as_deref(), Ok("GET /x HTTP/1.0\r\nHost: a\r\n\r\n"));
}

#[test]
fn all_connection_lines_count() {
    for (received, expected) in [
        ("Connection: keep-alive\r\nConnection: close\r\n", "Connection: close\r\n"),
        ("Connection: keep-alive, close\r\nX: y\r\n", "Connection: close\r\nX: y\r\n"),
        ("Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nX-End: 1\r\n", "Connection: keep-alive\r\nX-End: 1\r\n"),
        ("X-Hop: 1\r\nConnection: X-hop\r\n", ""),
        ("Connection: content-length, host\r\nContent-Length: 5\r\n", "Content-Length: 5\r\n"),
    ] {
        assert_eq!(lines(received).as_deref(), Ok(expected), "{received:?}");
    }
}

#[test]
fn an_upgrade_is_passed_if_it_is_asked_for_and_allowed() {
    assert_eq!(lines("Upgrade: websocket\r\nX: y\r\n").as_deref(), Ok("X: y\r\n"), "without Connection: upgrade");
    assert_eq!(
        lines("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\nContent-Length: 1\r\n")
            .as_deref(),
        Ok("Content-Length: 1\r\n")
    );
    assert_eq!(
        lines("Connection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n").as_deref(),
        Ok("Connection: upgrade\r\nUpgrade: WebSocket\r\n")
    );
    assert_eq!(
        lines("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n").as_deref(),
        Ok("Content-Length: 1\r\n"),
        "a body comes before the answer"
    );
    let tls = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n";
    assert_eq!(sent(tls).as_deref(), Ok("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(sent_to(tls, &AllowedUpgrades::new(vec![AllowedUpgrade::Named("tls".to_owned())])).as_deref(), Ok(tls));
    assert_eq!(sent_to(tls, &AllowedUpgrades::new(vec![AllowedUpgrade::Any])).as_deref(), Ok(tls));
    let h2c = tls.replace("TLS/1.0", "h2c");
    assert_eq!(
        sent_to(&h2c, &AllowedUpgrades::new(vec![AllowedUpgrade::Any])).as_deref(),
        Ok("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    );
    assert_eq!(
        read("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", |head| head.upgrade),
        Upgrade::Passed
    );
}

#[test]
fn a_request_for_this_hop_is_answered_here() {
    let answerer = |head: &str| read(head, |head| head.answerer);
    assert_eq!(answerer("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Answerer::Here);
    assert_eq!(answerer("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), Answerer::Here);
    assert_eq!(answerer("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), Answerer::Server);
    assert_eq!(
        sent("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n").as_deref(),
        Ok("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n")
    );
}

/// Lines that heads are made of: good ones, odd ones and bad ones.
fn any_head() -> impl Strategy<Value = String> {
    let first = prop_oneof![
        Just("GET / HTTP/1.1"),
        Just("GET http://a:80/x HTTP/1.1"),
        Just("POST /x HTTP/1.0"),
        Just("OPTIONS * HTTP/1.1"),
        Just("GET /a b HTTP/1.1"),
        Just("TRACE /y HTTP/1.3"),
        Just("GET http://b HTTP/1.0")
    ];
    let line = prop_oneof![
        3 => Just("Host: a"), 1 => Just("Host: b"), 1 => Just("Content-Length: 5"), 1 => Just("content-length: 5, 05"),
        1 => Just("Transfer-Encoding: Chunked"), 1 => Just("Transfer-Encoding: gzip"), 1 => Just("Connection: close, x-hop"),
        1 => Just("Connection: Upgrade"), 1 => Just("connection:keep-alive"), 1 => Just("Upgrade: websocket"),
        1 => Just("Upgrade: h2c, websocket"), 1 => Just("X-Hop: 1"), 1 => Just("X-End:2"), 1 => Just("Max-Forwards: 7"), 1 => Just("X : y")
    ];
    (first, prop::collection::vec(line, 0..7)).prop_map(|(first, lines)| {
        [first].into_iter().chain(lines).map(|line| format!("{line}\r\n")).chain(["\r\n".to_owned()]).collect()
    })
}

proptest! {
    #[test]
    fn what_goes_on_is_plain_and_means_the_same(head in any_head()) {
        let allowed = AllowedUpgrades::default();
        let Ok(first) = RequestHead::read(head.as_bytes(), &allowed) else { return Ok(()) };
        let mut out = Vec::new();
        first.write(&allowed, &mut out);
        let again = RequestHead::read(&out, &allowed).unwrap();
        prop_assert_eq!(&again.method, &first.method);
        prop_assert_eq!((again.body, again.upgrade, again.version), (first.body, first.upgrade, first.version));
        prop_assert!(again.version == Version::Http10 || again.target.authority().is_none());
        let counts = first.method == b"TRACE" || first.method == b"OPTIONS";
        prop_assert!(again.form == Form::AsReceived || counts, "{}", String::from_utf8_lossy(&out));
    }
}
