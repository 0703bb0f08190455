//! Sessions of clients without cookies, on the wire: Burdock's own header, and the application's header in an envelope.

use crate::harness::{Burdock, Page, ReceivedRequest, Reply, Request, Response, Site};

const HEADER: &str = "sticky: [{header: {name: X-Session}}]";

/// An application that begins a session for each client without one, like an agent server.
fn agent_server(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let session = format!("of-{name}");
    move |request| match request.header("mcp-session-id") {
        None => Reply::with("Mcp-Session-Id", &session),
        Some(known) if known == session => Reply::status(200),
        Some(_) => Reply::status(404),
    }
}

/// A new session's token, and the server where the session began.
fn begun(burdock: &Burdock) -> (String, String) {
    let first = burdock.get("/first");
    (first.header("x-session").expect("a token").to_owned(), first.served_by().to_owned())
}

fn holding(burdock: &Burdock, path: &str, token: &str) -> Response {
    burdock.ask(&Request::get(path).header("X-Session", token))
}

#[test]
fn a_mobile_application_gets_its_token_once_and_stays() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, HEADER);
    let (token, home) = begun(&burdock);
    assert_eq!(token.len(), 76);
    for _ in 0..5 {
        let response = holding(&burdock, "/again", &token);
        assert_eq!((response.served_by(), response.header("x-session")), (&*home, None));
    }
    let served = origins.iter().find(|origin| origin.name == home).unwrap();
    assert_eq!(served.last().header("x-session"), None, "the server does not see it");
    let line = burdock.log_line("/first");
    assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["new", "none", "inserted"]);
    let again = burdock.access_log(6).pop().unwrap();
    assert_eq!(["reason", "method", "settled"].map(|field| again.text(field)), ["hit", "header", "kept"]);
    let log = std::fs::read_to_string(site.path("access.log")).unwrap();
    assert!(!log.contains(&token[20..]), "{log}");
}

#[test]
fn a_token_in_a_header_makes_the_response_private() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, HEADER);
    origin.respond_with(|_| Reply::with("Cache-Control", "public, max-age=60"));
    let first = burdock.get("/");
    assert_eq!(first.header("cache-control"), Some("max-age=60, private"));
    let token = first.header("x-session").unwrap();
    assert_eq!(holding(&burdock, "/", token).header("cache-control"), Some("public, max-age=60"));
}

#[test]
fn a_server_header_with_our_name_never_reaches_the_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, HEADER);
    origin.respond_with(|_| Page::new(200).header("X-Session", "spoofed").header("x-session", "twice").into());
    let (token, _) = begun(&burdock);
    assert_eq!(token.len(), 76);
    assert_eq!(holding(&burdock, "/", &token).all("x-session"), [""; 0]);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Session: early\r\n\r\n";
    origin.respond_with(move |_| Reply::raw(&format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    let mut wire = burdock.wire();
    wire.send(Request::get("/").bytes());
    let early = wire.response();
    assert_eq!((early.status, early.header("link"), early.header("x-session")), (103, Some("</a.css>"), None));
}

#[test]
fn a_cross_origin_page_may_read_the_token() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, HEADER);
    let exposed = |request: &Request| {
        let response = burdock.ask(request);
        response.all("access-control-expose-headers").join(", ").to_ascii_lowercase()
    };
    let foreign = Request::get("/").header("Origin", "https://app.example.net");
    assert_eq!(exposed(&foreign), "x-session");
    assert_eq!(exposed(&Request::get("/")), "");
    origin.respond_with(|_| Reply::with("Access-Control-Expose-Headers", "X-Total"));
    assert_eq!(exposed(&foreign), "x-total, x-session");
    assert_eq!(exposed(&Request::get("/")), "x-total");
}

#[test]
fn a_moved_header_session_gets_one_new_token() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<2>().into();
    let burdock = site.shop(2, HEADER);
    let (token, home) = begun(&burdock);
    origins.retain(|origin| origin.name != home);
    let moved = holding(&burdock, "/moved", &token);
    assert_eq!((moved.status, moved.served_by()), (200, &*origins[0].name));
    let token = moved.header("x-session").expect("another token").to_owned();
    assert_eq!(holding(&burdock, "/", &token).header("x-session"), None);
    let line = burdock.log_line("/moved");
    assert_eq!(["reason", "settled", "from"].map(|field| line.text(field)), ["redispatched", "rewritten", &home]);
}

#[test]
fn an_agent_sees_the_envelope_and_its_server_the_bare_id() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: mcp");
    origins.iter().for_each(|origin| origin.respond_with(agent_server(&origin.name)));
    for _ in 0..6 {
        let first = burdock.ask(&Request::new("POST", "/mcp").body("initialize"));
        let home = first.served_by();
        let session = first.header("mcp-session-id").unwrap();
        assert!(session.len() == 77 + home.len() + 3 && session.ends_with(&format!("~of-{home}")), "{session}");
        let next = burdock.ask(&Request::new("POST", "/mcp").header("Mcp-Session-Id", session).body("tools/list"));
        assert_eq!((next.status, next.served_by(), next.header("mcp-session-id")), (200, home, None));
    }
    assert!(origins.iter().all(|origin| origin.received().len() == 4), "new agents are balanced");
}

#[test]
fn an_agents_bare_session_id_passes_unchanged() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: mcp");
    for bare in ["of-web-1", "some~thing", "~"] {
        burdock.ask(&Request::get("/").header("Mcp-Session-Id", bare));
        assert_eq!(origin.last().all("mcp-session-id"), [bare]);
    }
}

#[test]
fn an_agent_of_a_lost_server_gets_404_and_can_start_over() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<2>().into();
    let burdock = site.shop(2, "sticky: mcp");
    origins.iter().for_each(|origin| origin.respond_with(agent_server(&origin.name)));
    let first = burdock.get("/mcp");
    let (home, session) = (first.served_by(), first.header("mcp-session-id").unwrap());
    origins.retain(|origin| origin.name != home);
    let before = origins[0].received().len();
    let gone = burdock.ask(&Request::new("POST", "/gone").header("Mcp-Session-Id", session).body("tools/list"));
    assert_eq!((gone.status, gone.header("x-served-by"), gone.header("mcp-session-id")), (404, None, None));
    assert_eq!(origins[0].received().len(), before, "no other server gets the request");
    assert_eq!(burdock.log_line("/gone").reason(), "refused");
    let restarted = burdock.get("/mcp");
    assert_eq!((restarted.status, restarted.served_by()), (200, &*origins[0].name));
}
