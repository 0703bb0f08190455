//! Both HTTP/1 engines do the same: the same bytes to each lead to the same request at the server, the same response and the same
//! line in the log. What may differ is listed here, each with its reason.

use std::time::Duration;

use crate::harness::{Burdock, Origin, Page, Reply, Request, Site, rounds, shop, wait_until};

/// Burdock with one engine, before a server of its own.
struct Side {
    burdock: Burdock,
    origin: Origin,
    _site: Site,
}

/// What one case led to.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    /// The head and the body that the server received, without what differs by address.
    received: Option<(String, String)>,
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Side {
    fn new(engine: &str) -> Self {
        let site = Site::new();
        let origin = site.origin(1);
        origin.respond_with(|request| {
            let number = request.path().rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
            number.and_then(|number| REPLIES.get(number)).map_or_else(|| Reply::status(200), |case| case.reply())
        });
        let process = format!(
            "process: {{threads: 1, http1: {engine}, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {{lame_duck: 0s}}}}"
        );
        let burdock = site.burdock(&format!("{process}\n{}", shop(1, "sticky: cookie\ntimeouts: {read: 5s}")));
        Self { burdock, origin, _site: site }
    }

    /// Sends these bytes, cut in two at `cut`, on a connection of their own.
    fn outcome(&self, bytes: &[u8], cut: usize, method: &str) -> Outcome {
        let requests = self.origin.received().len();
        let mut wire = self.burdock.wire();
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        wire.send(first);
        if !second.is_empty() && !first.is_empty() {
            std::thread::yield_now();
        }
        let _ = wire.try_send(second);
        let mut response = wire.try_response(method);
        while response.as_ref().is_ok_and(|response| (102..200).contains(&response.status)) {
            response = wire.try_response(method);
        }
        let received = self.origin.received().into_iter().nth(requests);
        let mine = self.origin.address.to_string();
        let received = received.map(|request| (sorted(&request.head.replace(&mine, "SERVER")), text(request.body)));
        let (status, headers, body) = match response {
            Ok(response) => (response.status, response.headers, text(response.body)),
            Err(_) => (0, Vec::new(), String::new()),
        };
        let mut headers: Vec<String> = headers.into_iter().map(|(name, value)| normal(&name, &value)).collect();
        headers.sort();
        Outcome { received, status, headers, body }
    }

    /// The lines in the log of so many requests, which came one after the other.
    fn log(&self, count: usize) -> Vec<Vec<String>> {
        let fields =
            ["http_method", "host", "path", "status", "route", "reason", "settled", "tries", "bytes_in", "bytes_out"];
        wait_until("all lines are in the log", || self.burdock.access_log(0).len() >= count);
        let lines = self.burdock.access_log(0);
        lines.iter().map(|line| fields.iter().map(|field| format!("{field}={}", line.text(field))).collect()).collect()
    }
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8_lossy(&body).into_owned()
}

/// A head with its lines sorted: the order of different headers means nothing.
fn sorted(head: &str) -> String {
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut lines: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    format!("{first}\n{}", lines.join("\n"))
}

/// A header without what chance decides.
fn normal(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case("date") {
        return "date".to_owned();
    }
    let is_ours = name.eq_ignore_ascii_case("set-cookie") && value.starts_with("BURDOCK_");
    let value = if is_ours { value.split_once(';').map_or("", |(_, attributes)| attributes) } else { value };
    format!("{}: {value}", name.to_ascii_lowercase())
}

/// What a server answers.
struct Case {
    bytes: &'static str,
    /// Whether the connection ends after it.
    last: bool,
    /// Why the engines may differ; empty: they must not.
    differs: &'static str,
}

impl Case {
    fn reply(&self) -> Reply {
        let bytes = self.bytes.replace('|', "\r\n").into_bytes();
        if self.last { Reply::Last(bytes) } else { Reply::Raw(bytes) }
    }
}

const fn same(bytes: &'static str) -> Case {
    Case { bytes, last: false, differs: "" }
}

const fn last(bytes: &'static str) -> Case {
    Case { bytes, last: true, differs: "" }
}

const REPLIES: [Case; 32] = [
    same("HTTP/1.1 200 OK|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Content-Length: 0||"),
    same("HTTP/1.1 200 |content-length: 2|X-Odd:\t\"v\" |x-ODD: w||ok"),
    same("HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|7|, world|0||"),
    same("HTTP/1.1 200 OK|Transfer-Encoding: chunked|Trailer: Digest||5;x=y|hello|0|Digest: z||"),
    same("HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: 3||2|ok|0||"),
    last("HTTP/1.1 200 OK||until the end"),
    last("HTTP/1.1 200 OK|Connection: close||until the end"),
    last("HTTP/1.0 200 OK||old"),
    last("HTTP/1.0 200 OK|Content-Length: 3||old"),
    same("HTTP/1.1 204 No Content||"),
    same("HTTP/1.1 204 No Content|Content-Length: 0|X-A: b||"),
    same("HTTP/1.1 304 Not Modified|ETag: \"1\"||"),
    same("HTTP/1.1 304 Not Modified|ETag: \"1\"|Content-Length: 5||"),
    same("HTTP/1.1 404 Nothing Here|Content-Length: 4|Content-Type: text/plain||none"),
    same("HTTP/1.1 500 Oops|Content-Length: 4||oops"),
    same("HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Content-Length: 2, 2||ok"),
    same("HTTP/1.1 200 OK|Set-Cookie: a=b; Path=/|Set-Cookie: c=d|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Set-Cookie: BURDOCK_shop=x|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Connection: keep-alive, X-Hop|X-Hop: 1|Keep-Alive: timeout=5|Content-Length: 2||ok"),
    same("HTTP/1.1 200 OK|Connection: close|Content-Length: 2||ok"),
    same("HTTP/1.1 103 Early Hints|Link: </a>||HTTP/1.1 200 OK|Content-Length: 2||ok"),
    last("HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked||2|ok|0||"),
    last("HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 3||ok"),
    last("HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: x||"),
    same("HTTP/1.1 401 Unauthorized|WWW-Authenticate: Negotiate|Content-Length: 0||"),
    same("HTTP/1.1 426 Upgrade Required|Connection: upgrade|Upgrade: websocket|Content-Length: 0||"),
    last("nonsense||"),
    Case {
        bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        last: true,
        differs: "Pingora takes a line feed alone for the end of a line; ours is strict",
    },
    Case {
        bytes: "HTTP/1.1 200 OK|Transfer-Encoding: chunked||;x||",
        last: true,
        differs: "Pingora takes an empty chunk size for 0; ours is strict",
    },
];

/// Requests for the reply with this number.
fn requests(number: usize) -> Vec<(&'static str, String)> {
    let heads = [
        ("GET", "GET /PATH HTTP/1.1|Host: a"),
        ("GET", "GET /PATH?q=1&r=%20 HTTP/1.1|hOST: a.example:8080|X-Odd:\tb |x-odd: c|Accept: */*"),
        ("HEAD", "HEAD /PATH HTTP/1.1|Host: a"),
        ("DELETE", "DELETE /PATH HTTP/1.1|Host: a|Connection: close"),
        ("GET", "GET /PATH HTTP/1.1|Host: a|Connection: keep-alive, X-Hop|X-Hop: 1|TE: trailers|Keep-Alive: 5"),
        ("GET", "GET http://a:80/PATH HTTP/1.1|Host: a"),
        ("GET", "GET /PATH HTTP/1.2|Host: a|Upgrade: h2c"),
        (
            "GET",
            "GET /PATH HTTP/1.1|Host: a|Cookie: x=1; BURDOCK_shop=forged; y=2|X-Forwarded-For: 9.9.9.9|Forwarded: for=1.1.1.1",
        ),
        ("OPTIONS", "OPTIONS /PATH HTTP/1.1|Host: a|Origin: http://b|Access-Control-Request-Method: PUT|Max-Forwards: 4"),
        ("GET", "GET /a;jsessionid=1/../PATH HTTP/1.1|Host: a|Authorization: Basic eA=="),
    ];
    let fill = |head: &str| format!("{}\r\n\r\n", head.replace("PATH", &format!("r/{number}")).replace('|', "\r\n"));
    heads.iter().map(|(method, head)| (*method, fill(head))).collect()
}

#[test]
fn both_engines_answer_every_request_alike() {
    let (pingora, native) = (Side::new("pingora"), Side::new("native"));
    let (mut differences, mut allowed) = (Vec::new(), Vec::new());
    let mut cases = 0;
    for (number, case) in REPLIES.iter().enumerate() {
        let mut differed = false;
        for (method, bytes) in requests(number) {
            for round in 0..rounds(10) {
                let cut = (cases * 7 + round * 13) % bytes.len();
                let (one, other) =
                    (pingora.outcome(bytes.as_bytes(), cut, method), native.outcome(bytes.as_bytes(), cut, method));
                cases += 1;
                allowed.push(!case.differs.is_empty());
                if one != other {
                    differed = true;
                    if case.differs.is_empty() {
                        differences.push(format!("{bytes}\n→ {}\npingora: {one:#?}\nnative: {other:#?}", case.bytes));
                    }
                }
            }
        }
        assert!(case.differs.is_empty() || differed, "no difference any more: {}", case.differs);
    }
    assert!(
        differences.is_empty(),
        "{} of {cases} cases differ:\n{}",
        differences.len(),
        differences[..differences.len().min(8)].join("\n")
    );
    for (at, (one, other)) in pingora.log(cases).into_iter().zip(native.log(cases)).enumerate() {
        assert!(allowed[at] || one == other, "case {at}:\n{one:?}\n{other:?}");
    }
    assert_eq!(pingora.burdock.metrics().sum("burdock_exchanges_total", &[("engine", "native")]), 0.0);
    let served = native.burdock.metrics().sum("burdock_exchanges_total", &[("engine", "native")]);
    assert_eq!(served, cases as f64, "the native engine took them all");
}

#[test]
fn a_connection_comes_back_after_an_exchange_of_either_engine() {
    let side = Side::new("native");
    let mut wire = side.burdock.wire();
    for round in 0..rounds(1000) {
        let request = if round % 2 == 0 { Request::get("/") } else { Request::new("POST", "/").body("abc") };
        assert_eq!(wire.ask(&request).status, 200);
    }
    let of = |engine: &str| side.burdock.metrics().sum("burdock_exchanges_total", &[("engine", engine)]);
    assert_eq!((of("native"), of("pingora")), (rounds(1000) as f64 / 2.0, rounds(1000) as f64 / 2.0));
}

#[test]
fn pipelined_requests_of_both_engines_are_answered_in_order() {
    let side = Side::new("native");
    side.origin.respond_with(|request| Page::new(200).body(request.path()).into());
    let mut wire = side.burdock.wire();
    let chunked = b"PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nthree\r\n0\r\n\r\n".to_vec();
    let all =
        [Request::get("/1").bytes(), Request::new("POST", "/2").body("two").bytes(), chunked, Request::get("/4").bytes()];
    wire.send(all.concat());
    for path in ["/1", "/2", "/3", "/4"] {
        assert_eq!(wire.response().text(), path);
    }
}

#[test]
fn a_native_client_that_leaves_lets_its_server_go() {
    let side = Side::new("native");
    side.origin.respond_with(|request| if request.path() == "/slow" { Reply::Silence } else { Reply::status(200) });
    let mut wire = side.burdock.wire();
    wire.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the server has the request", || side.origin.received().iter().any(|request| request.path() == "/slow"));
    drop(wire);
    let line = side.burdock.log_line("/slow");
    assert_eq!(line.text("status"), "0");
    assert!(line.number("total_ms") < Duration::from_secs(4).as_millis() as f64, "before the read timeout");
}
