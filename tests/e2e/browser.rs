//! Logins that leave the site and return by a cross-site POST (SAML, OpenID Connect's form_post, 3-D Secure), in real
//! Chromium: each must return to the server that began it.

use std::sync::{Arc, Mutex};

use crate::harness::{Browser, Burdock, Origin, Page, Peer, ReceivedRequest, Reply, Site, TLS_PORT, eventually};

const SERVERS: u16 = 4;
/// The ports of Burdock, the identity provider and the embedding page behind the TLS terminator.
const BURDOCK: u16 = 8080;
const PROVIDER: u16 = 9101;
const PORTAL: u16 = 9102;

/// The returned logins: Ok if one reached the server that began it, with the application's own cookie.
type Logins = Arc<Mutex<Vec<Result<(), String>>>>;

/// An application that keeps pending logins in memory: `/login` begins one and redirects to the identity provider, `/acs`
/// completes it.
fn application(origin: &Origin, cookie_attributes: &'static str, provider: String, logins: &Logins) {
    let (begun, logins) = (Mutex::new(Vec::<String>::new()), Arc::clone(logins));
    let name = origin.name.clone();
    origin.respond_with(move |request| match request.path() {
        "/login" => {
            let mut begun = begun.lock().unwrap();
            let session = format!("{name}-{}", begun.len());
            begun.push(session.clone());
            let cookie = format!("APP={session}; Path=/; HttpOnly{cookie_attributes}");
            Page::new(302).header("Set-Cookie", &cookie).header("Location", &provider).into()
        }
        "/acs" => {
            logins.lock().unwrap().push(check_login(request, &begun.lock().unwrap(), &name));
            Reply::status(200)
        }
        _ => Reply::status(200),
    });
}

fn check_login(request: &ReceivedRequest, begun: &[String], server: &str) -> Result<(), String> {
    let cookies = request.header("cookie").unwrap_or_default();
    let session = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("APP="));
    match session {
        Some(session) if request.method() == "POST" && begun.iter().any(|known| known == session) => Ok(()),
        _ => Err(format!("{server} got {} with {cookies:?}", request.method())),
    }
}

fn html(body: &str) -> Reply {
    Page::new(200).header("Content-Type", "text/html").body(body).into()
}

/// An identity provider on another site, which waits three seconds and posts back.
fn provider(origin: &Origin, back: &str) {
    let form = format!(
        "<form id=f method=post action='{back}'><input name=SAMLResponse value=x></form>
        <script>setTimeout(() => document.getElementById('f').submit(), 3000)</script>"
    );
    origin.respond_with(move |_| html(&form));
}

struct Login {
    site: Site,
    logins: Logins,
    _running: (Vec<Origin>, Burdock, Peer),
    start: String,
}

impl Login {
    /// Starts everything for a browser that uses `scheme`. `sticky` is the upstream's setting, and the application's own cookie
    /// has these attributes.
    fn prepare(scheme: &str, sticky: &str, cookie_attributes: &'static str) -> Self {
        let site = Site::new();
        let port = if scheme == "https" { TLS_PORT } else { 7000 };
        let url = |host: &str, path: &str| format!("{scheme}://{host}.test:{port}{path}");
        let logins = Logins::default();
        let mut origins: Vec<Origin> = (1..=SERVERS).map(|n| site.origin(n)).collect();
        for origin in &origins {
            application(origin, cookie_attributes, url("provider", "/"), &logins);
        }
        let [provider_origin, portal] = [PROVIDER, PORTAL].map(|port| Origin::start("elsewhere", site.at(port)));
        provider(&provider_origin, &url("app", "/acs"));
        let embedded = url("app", "/login");
        portal.respond_with(move |_| html(&format!("<iframe src='{embedded}'></iframe>")));
        origins.extend([provider_origin, portal]);
        let shop = crate::harness::shop(SERVERS, sticky);
        let burdock = site.burdock(&format!("listeners: [{{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}}]\n{shop}"));
        let hosts = [("app.test", BURDOCK), ("provider.test", PROVIDER), ("portal.test", PORTAL)];
        let peer = Peer::terminator(&site, &hosts);
        Self { start: url("app", "/login"), site, logins, _running: (origins, burdock, peer) }
    }

    fn embedded(self) -> Self {
        Self { start: self.start.replace("app.test", "portal.test").replace("/login", "/"), ..self }
    }

    /// Five logins, each in its own browser: how many returned to the server that began them, and the errors of the others.
    fn run_five(self) -> (usize, Vec<String>) {
        for nth in 1..=5 {
            let _browser = Browser::open(&self.site, &self.start);
            eventually("the login returns", || (self.logins.lock().unwrap().len() == nth).then_some(()));
        }
        let logins = self.logins.lock().unwrap();
        let failed: Vec<String> = logins.iter().filter_map(|login| login.clone().err()).collect();
        (logins.len() - failed.len(), failed)
    }
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_cross_site_post_login_returns_to_its_server_over_tls() {
    let (logged_in, failed) = Login::prepare("https", "sticky: cookie", "; Secure; SameSite=None").run_five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_cross_site_post_login_returns_to_its_server_without_tls() {
    let (logged_in, failed) = Login::prepare("http", "sticky: cookie", "").run_five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_login_in_a_cross_site_frame_returns_to_its_server_over_tls() {
    let (logged_in, failed) = Login::prepare("https", "sticky: cookie", "; Secure; SameSite=None").embedded().run_five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

/// Shows why Lax is not the default, and that the tests above can fail.
#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn same_site_lax_breaks_cross_site_logins_over_tls() {
    let (logged_in, failed) =
        Login::prepare("https", "sticky: [{cookie: {same_site: lax}}]", "; Secure; SameSite=None").run_five();
    assert!(logged_in < 5, "{failed:?}");
}
