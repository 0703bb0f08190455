//! Migration without logouts: Burdock accepts the cookies and headers that another proxy has given to clients, keeps each client on
//! the same server, and replaces them with its own. The other proxies are the real programs, so these tests run in the full tier.

use crate::harness::{Burdock, Origin, Page, Peer, ReceivedRequest, Reply, Request, Response, Site};

/// Where a client keeps its token, by name.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Cookie(&'static str),
    Header(&'static str),
}

use Place::{Cookie, Header};

/// What the application sees of the client's token.
#[derive(Clone, Copy)]
enum Visible {
    Nothing,
    /// The value that the application itself gave the client.
    OwnValue,
    /// No promise is made.
    Unspecified,
}

struct Migration {
    /// Where the other proxy puts its token.
    from: Place,
    /// Where Burdock puts its own.
    to: Place,
    /// The entry of `sticky`.
    entry: &'static str,
    visible: Visible,
}

/// The key of HAProxy's dynamic cookies.
const DYNAMIC_KEY: &str = "sesame";
/// Caddy's secret with the line feed that an editor leaves in a file.
const SECRET: &str = "open\n";

impl Migration {
    /// On a new site, the peer issues a token for each server; then Burdock takes the peer's place, and each client returns.
    fn check(&self, peer: impl FnOnce(&Site) -> Peer) {
        let site = Site::new();
        let origins = site.origins::<3>();
        origins.iter().for_each(application);
        let tokens = peer(&site).issued_tokens(origins.len(), |response| self.from.token_in(response));
        println!("issued tokens: {tokens:#?}");
        site.write("secret", SECRET);
        let burdock = Burdock::start_with(&site, &configuration(self.entry), ("HAPROXY_KEY", DYNAMIC_KEY));
        for origin in &origins {
            let own = self.accepts_foreign(&burdock, origin, &tokens[&origin.name]);
            self.accepts_own(&burdock, origin, &own);
            if self.from != self.to {
                self.prefers_own(&burdock, origin, &tokens[&origin.name], &own);
            }
        }
        let accepted = burdock.metrics().sum("burdock_foreign_tokens_total", &[]);
        assert_eq!(accepted, 3.0);
    }

    /// Shows the peer's token for this server; returns Burdock's replacement.
    fn accepts_foreign(&self, burdock: &Burdock, origin: &Origin, foreign: &str) -> String {
        let path = format!("/moving-to-{}", origin.name);
        let response = burdock.ask(&self.from.add_token(Request::get(&path), foreign));
        let line = burdock.log_line(&path);
        let seen = (response.served_by(), line.reason(), line.text("settled"));
        assert_eq!(seen, (&*origin.name, "hit".to_owned(), "rewritten".to_owned()), "{foreign}");
        self.visible.check(self.from, origin);
        let own = self.to.token_in(&response).unwrap_or_else(|| panic!("no replacement for {foreign}: {response:?}"));
        assert!(holds_token(&own), "{own} in place of {foreign}");
        own
    }

    /// Shows only Burdock's token.
    fn accepts_own(&self, burdock: &Burdock, origin: &Origin, own: &str) {
        let path = format!("/living-at-{}", origin.name);
        let response = burdock.ask(&self.to.add_token(Request::get(&path), own));
        assert_eq!((response.served_by(), burdock.log_line(&path).reason()), (&*origin.name, "hit".to_owned()), "{own}");
        self.visible.check(self.to, origin);
    }

    /// Shows both tokens, like a browser that still has the old one under another name.
    fn prefers_own(&self, burdock: &Burdock, origin: &Origin, foreign: &str, own: &str) {
        let path = format!("/settled-at-{}", origin.name);
        let response = burdock.ask(&self.to.add_token(self.from.add_token(Request::get(&path), foreign), own));
        let seen = (response.served_by(), burdock.log_line(&path).reason(), self.to.token_in(&response));
        assert_eq!(seen, (&*origin.name, "hit".to_owned(), None));
    }
}

impl Place {
    fn token_in(self, response: &Response) -> Option<String> {
        match self {
            Cookie(name) => response.cookie(name).map(|(_, value)| value.to_owned()),
            Header(name) => response.header(name).map(str::to_owned),
        }
    }

    fn add_token(self, request: Request, value: &str) -> Request {
        match self {
            Cookie(name) => request.header("Cookie", &format!("{name}={value}")),
            Header(name) => request.header(name, value),
        }
    }

    /// What the application received.
    fn received(self, request: &ReceivedRequest) -> Option<String> {
        match self {
            Cookie(name) => Some(request.header("cookie")?.strip_prefix(name)?.strip_prefix('=')?.to_owned()),
            Header(name) => request.header(name).map(str::to_owned),
        }
    }
}

impl Visible {
    fn check(self, place: Place, origin: &Origin) {
        let received = place.received(&origin.last());
        match self {
            Self::Nothing => assert_eq!(received, None),
            Self::OwnValue => assert_eq!(received, Some(session(&origin.name))),
            Self::Unspecified => {}
        }
    }
}

/// An application that sends its session id in a cookie and in a header of every response.
fn application(origin: &Origin) {
    let session = session(&origin.name);
    origin.respond_with(move |_| {
        let cookie = format!("JSESSIONID={session}; Path=/; HttpOnly");
        Reply::from(Page::new(200).header("Set-Cookie", &cookie).header("Mcp-Session-Id", &session))
    });
}

fn session(server: &str) -> String {
    format!("session-of-{server}")
}

fn configuration(entry: &str) -> String {
    let server = |n| format!("      - {{id: web-{n}, address: $IP:900{n}, route: s{n}}}\n");
    let servers: String = (1..=3).map(server).collect();
    format!("upstreams:\n  shop:\n    servers:\n{servers}    sticky:\n      - {entry}\n")
}

/// Whether the value contains a sealed token.
fn holds_token(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|part| part.len() == 76)
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn haproxy_insert_cookies_keep_their_server() {
    let entry = "cookie: {name: SRV, accept: [haproxy]}";
    let case = Migration { from: Cookie("SRV"), to: Cookie("SRV"), entry, visible: Visible::Nothing };
    case.check(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn haproxy_insert_cookies_with_dates_keep_their_server() {
    let entry = "cookie: {name: SRV, accept: [haproxy]}";
    let case = Migration { from: Cookie("SRV"), to: Cookie("SRV"), entry, visible: Visible::Nothing };
    case.check(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache maxidle 30m"));
    case.check(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache maxidle 30m maxlife 8h"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn haproxy_dynamic_cookies_keep_their_server() {
    let entry = "cookie: {name: SRV, accept: [{format: {haproxy: {dynamic_cookie_key: {env: HAPROXY_KEY}}}}]}";
    let case = Migration { from: Cookie("SRV"), to: Cookie("SRV"), entry, visible: Visible::Nothing };
    let key = format!("dynamic-cookie-key {DYNAMIC_KEY}");
    case.check(|site| Peer::haproxy(site, &format!("cookie SRV insert indirect nocache dynamic\n    {key}")));
    case.check(|site| Peer::haproxy(site, &format!("cookie SRV insert indirect dynamic maxlife 8h\n    {key}")));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn haproxy_prefix_cookies_keep_their_server() {
    let entry = "cookie: {name: JSESSIONID, mode: prefix, accept: [haproxy]}";
    let case = Migration { from: Cookie("JSESSIONID"), to: Cookie("JSESSIONID"), entry, visible: Visible::OwnValue };
    case.check(|site| Peer::haproxy(site, "cookie JSESSIONID prefix"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn haproxy_rewrite_cookies_keep_their_server() {
    let entry = "cookie: {name: JSESSIONID, mode: rewrite, accept: [haproxy]}";
    let case = Migration { from: Cookie("JSESSIONID"), to: Cookie("JSESSIONID"), entry, visible: Visible::Unspecified };
    case.check(|site| Peer::haproxy(site, "cookie JSESSIONID rewrite"));
}

#[test]
#[ignore = "needs caddy: scripts/test --full"]
fn caddy_signed_cookies_keep_their_server() {
    let entry = "cookie: {name: BURDOCK_shop, accept: [{format: {caddy: {secret: {file: $DIR/secret}}}, cookie: lb, until: 2099-01-01}]}";
    let case = Migration { from: Cookie("lb"), to: Cookie("BURDOCK_shop"), entry, visible: Visible::Unspecified };
    case.check(|site| Peer::caddy(site, &format!("cookie lb {}", SECRET.trim_end())));
}

#[test]
#[ignore = "needs caddy: scripts/test --full"]
fn caddy_cookies_without_a_secret_keep_their_server() {
    let entry = "cookie: {name: lb, accept: [caddy]}";
    let case = Migration { from: Cookie("lb"), to: Cookie("lb"), entry, visible: Visible::Nothing };
    case.check(|site| Peer::caddy(site, "cookie lb"));
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn envoy_session_cookies_keep_their_server() {
    let entry = "cookie: {name: SESSION, accept: [envoy]}";
    let case = Migration { from: Cookie("SESSION"), to: Cookie("SESSION"), entry, visible: Visible::Nothing };
    for fields in ["cookie: {name: SESSION, path: /}", "cookie: {name: SESSION, path: /, ttl: 3600s}"] {
        case.check(|site| Peer::envoy(site, "cookie", "CookieBasedSessionState", fields));
    }
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn envoy_session_headers_keep_their_server() {
    let entry = "header: {name: X-Session, accept: [envoy]}";
    let case = Migration { from: Header("X-Session"), to: Header("X-Session"), entry, visible: Visible::Unspecified };
    case.check(|site| Peer::envoy(site, "header", "HeaderBasedSessionState", "name: X-Session"));
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn envoy_envelope_headers_keep_their_server() {
    let entry = "header: {name: Mcp-Session-Id, mode: envelope, accept: [envoy]}";
    let case = Migration { from: Header("Mcp-Session-Id"), to: Header("Mcp-Session-Id"), entry, visible: Visible::OwnValue };
    case.check(|site| Peer::envoy(site, "envelope", "EnvelopeSessionState", "header: {name: Mcp-Session-Id}"));
}
