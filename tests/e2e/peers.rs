//! Moving in without logging anybody out: what another proxy gave its clients holds at Burdock, for the same server, and is
//! replaced by what Burdock gives. The other proxies are the real programs, so these tests are for the full tier.

use crate::harness::{Burdock, Origin, Page, Peer, Received, Reply, Request, Response, Site};

/// Where a client keeps what it is given, by name.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Cookie(&'static str),
    Header(&'static str),
}

use Place::{Cookie, Header};

/// What the application hears of what the client shows.
#[derive(Clone, Copy)]
enum Hears {
    Nothing,
    /// The value that it once gave the client itself.
    ItsOwn,
    /// Not promised.
    Something,
}

struct Move {
    /// Where the other proxy puts what it mints.
    from: Place,
    /// Where Burdock puts its own.
    to: Place,
    /// The entry of `sticky`.
    entry: &'static str,
    hears: Hears,
}

/// The key of HAProxy's dynamic cookies.
const DYNAMIC_KEY: &str = "sesame";
/// Caddy's secret, as an editor would leave it in a file.
const SECRET: &str = "open\n";

impl Move {
    /// In a new site: the peer mints for each server, Burdock takes its place, and each client comes back.
    fn holds(&self, peer: impl FnOnce(&Site) -> Peer) {
        let site = Site::take();
        let origins = site.origins::<3>();
        origins.iter().for_each(application);
        let minted = peer(&site).minted(origins.len(), |response| self.from.given(response));
        println!("minted: {minted:#?}");
        site.write("secret", SECRET);
        let burdock = Burdock::start_with(&site, &configuration(self.entry), ("HAPROXY_KEY", DYNAMIC_KEY));
        for origin in &origins {
            let own = self.taken_over(&burdock, origin, &minted[&origin.name]);
            self.kept(&burdock, origin, &own);
            if self.from != self.to {
                self.undisturbed(&burdock, origin, &minted[&origin.name], &own);
            }
        }
        let taken_over = burdock.metrics().sum("burdock_foreign_tokens_total", &[]);
        assert_eq!(taken_over, 3.0);
    }

    /// Shows what the peer minted for this server; gives what Burdock puts in its place.
    fn taken_over(&self, burdock: &Burdock, origin: &Origin, foreign: &str) -> String {
        let path = format!("/moving-to-{}", origin.name);
        let response = burdock.ask(&self.from.show(Request::get(&path), foreign));
        let line = burdock.line(&path);
        let seen = (response.served_by(), line.reason(), line.text("settled"));
        assert_eq!(seen, (&*origin.name, "hit".to_owned(), "rewritten".to_owned()), "{foreign}");
        self.hears.check(self.from, origin);
        let own = self.to.given(&response).unwrap_or_else(|| panic!("nothing in place of {foreign}: {response:?}"));
        assert!(holds_token(&own), "{own} in place of {foreign}");
        own
    }

    /// Shows what Burdock gave, and nothing else.
    fn kept(&self, burdock: &Burdock, origin: &Origin, own: &str) {
        let path = format!("/living-at-{}", origin.name);
        let response = burdock.ask(&self.to.show(Request::get(&path), own));
        assert_eq!((response.served_by(), burdock.line(&path).reason()), (&*origin.name, "hit".to_owned()), "{own}");
        self.hears.check(self.to, origin);
    }

    /// Shows both, as a browser does that has the old one under another name.
    fn undisturbed(&self, burdock: &Burdock, origin: &Origin, foreign: &str, own: &str) {
        let path = format!("/settled-at-{}", origin.name);
        let response = burdock.ask(&self.to.show(self.from.show(Request::get(&path), foreign), own));
        let seen = (response.served_by(), burdock.line(&path).reason(), self.to.given(&response));
        assert_eq!(seen, (&*origin.name, "hit".to_owned(), None));
    }
}

impl Place {
    fn given(self, response: &Response) -> Option<String> {
        match self {
            Cookie(name) => response.cookie(name).map(|(_, value)| value.to_owned()),
            Header(name) => response.header(name).map(str::to_owned),
        }
    }

    fn show(self, request: Request, value: &str) -> Request {
        match self {
            Cookie(name) => request.header("Cookie", &format!("{name}={value}")),
            Header(name) => request.header(name, value),
        }
    }

    /// What the application was shown.
    fn heard(self, request: &Received) -> Option<String> {
        match self {
            Cookie(name) => Some(request.header("cookie")?.strip_prefix(name)?.strip_prefix('=')?.to_owned()),
            Header(name) => request.header(name).map(str::to_owned),
        }
    }
}

impl Hears {
    fn check(self, place: Place, origin: &Origin) {
        let heard = place.heard(&origin.last());
        match self {
            Self::Nothing => assert_eq!(heard, None),
            Self::ItsOwn => assert_eq!(heard, Some(session(&origin.name))),
            Self::Something => {}
        }
    }
}

/// An application that names its session in a cookie and in a header, in every response.
fn application(origin: &Origin) {
    let session = session(&origin.name);
    origin.behave(move |_| {
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

/// Whether a sealed token stands somewhere in it.
fn holds_token(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|part| part.len() == 76)
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn what_haproxy_inserted_holds() {
    let entry = "cookie: {name: SRV, accept: [haproxy]}";
    let case = Move { from: Cookie("SRV"), to: Cookie("SRV"), entry, hears: Hears::Nothing };
    case.holds(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn what_haproxy_inserted_with_its_dates_holds() {
    let entry = "cookie: {name: SRV, accept: [haproxy]}";
    let case = Move { from: Cookie("SRV"), to: Cookie("SRV"), entry, hears: Hears::Nothing };
    case.holds(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache maxidle 30m"));
    case.holds(|site| Peer::haproxy(site, "cookie SRV insert indirect nocache maxidle 30m maxlife 8h"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn what_haproxy_made_of_a_key_holds() {
    let entry = "cookie: {name: SRV, accept: [{format: {haproxy: {dynamic_cookie_key: {env: HAPROXY_KEY}}}}]}";
    let case = Move { from: Cookie("SRV"), to: Cookie("SRV"), entry, hears: Hears::Nothing };
    let key = format!("dynamic-cookie-key {DYNAMIC_KEY}");
    case.holds(|site| Peer::haproxy(site, &format!("cookie SRV insert indirect nocache dynamic\n    {key}")));
    case.holds(|site| Peer::haproxy(site, &format!("cookie SRV insert indirect dynamic maxlife 8h\n    {key}")));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn what_haproxy_put_before_the_applications_cookie_holds() {
    let entry = "cookie: {name: JSESSIONID, mode: prefix, accept: [haproxy]}";
    let case = Move { from: Cookie("JSESSIONID"), to: Cookie("JSESSIONID"), entry, hears: Hears::ItsOwn };
    case.holds(|site| Peer::haproxy(site, "cookie JSESSIONID prefix"));
}

#[test]
#[ignore = "needs haproxy: scripts/test --full"]
fn what_haproxy_wrote_over_the_applications_cookie_holds() {
    let entry = "cookie: {name: JSESSIONID, mode: rewrite, accept: [haproxy]}";
    let case = Move { from: Cookie("JSESSIONID"), to: Cookie("JSESSIONID"), entry, hears: Hears::Something };
    case.holds(|site| Peer::haproxy(site, "cookie JSESSIONID rewrite"));
}

#[test]
#[ignore = "needs caddy: scripts/test --full"]
fn what_caddy_signed_holds() {
    let entry = "cookie: {name: BURDOCK_shop, accept: [{format: {caddy: {secret: {file: $DIR/secret}}}, cookie: lb, until: 2099-01-01}]}";
    let case = Move { from: Cookie("lb"), to: Cookie("BURDOCK_shop"), entry, hears: Hears::Something };
    case.holds(|site| Peer::caddy(site, &format!("cookie lb {}", SECRET.trim_end())));
}

#[test]
#[ignore = "needs caddy: scripts/test --full"]
fn what_caddy_signed_without_a_secret_holds() {
    let entry = "cookie: {name: lb, accept: [caddy]}";
    let case = Move { from: Cookie("lb"), to: Cookie("lb"), entry, hears: Hears::Nothing };
    case.holds(|site| Peer::caddy(site, "cookie lb"));
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn what_envoy_put_into_a_cookie_holds() {
    let entry = "cookie: {name: SESSION, accept: [envoy]}";
    let case = Move { from: Cookie("SESSION"), to: Cookie("SESSION"), entry, hears: Hears::Nothing };
    for fields in ["cookie: {name: SESSION, path: /}", "cookie: {name: SESSION, path: /, ttl: 3600s}"] {
        case.holds(|site| Peer::envoy(site, "cookie", "CookieBasedSessionState", fields));
    }
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn what_envoy_put_into_a_header_holds() {
    let entry = "header: {name: X-Session, accept: [envoy]}";
    let case = Move { from: Header("X-Session"), to: Header("X-Session"), entry, hears: Hears::Something };
    case.holds(|site| Peer::envoy(site, "header", "HeaderBasedSessionState", "name: X-Session"));
}

#[test]
#[ignore = "needs envoy: scripts/test --full"]
fn what_envoy_wrapped_around_the_applications_header_holds() {
    let entry = "header: {name: Mcp-Session-Id, mode: envelope, accept: [envoy]}";
    let case = Move { from: Header("Mcp-Session-Id"), to: Header("Mcp-Session-Id"), entry, hears: Hears::ItsOwn };
    case.holds(|site| Peer::envoy(site, "envelope", "EnvelopeSessionState", "header: {name: Mcp-Session-Id}"));
}
