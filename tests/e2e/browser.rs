//! Logins that leave the site and come back by a POST from another one (SAML, OpenID Connect's form_post, 3-D Secure), in real
//! Chromium: they must come back to the server that began them.

use std::sync::{Arc, Mutex};

use crate::harness::{Browser, Burdock, Origin, Page, Peer, Received, Reply, Site, TLS_PORT, eventually};

const SERVERS: u16 = 4;
/// Where Burdock, the identity provider and the page that embeds the application are behind the terminator.
const BURDOCK: u16 = 8080;
const PROVIDER: u16 = 9101;
const PORTAL: u16 = 9102;

/// How logins came back: whether to the server that began them, with the application's own cookie.
type Logins = Arc<Mutex<Vec<Result<(), String>>>>;

/// An application that keeps logins under way in memory: `/login` begins one and goes to the identity provider, `/acs` ends it.
fn application(origin: &Origin, cookie_attributes: &'static str, provider: String, logins: &Logins) {
    let (begun, logins) = (Mutex::new(Vec::<String>::new()), Arc::clone(logins));
    let name = origin.name.clone();
    origin.behave(move |request| match request.path() {
        "/login" => {
            let mut begun = begun.lock().unwrap();
            let session = format!("{name}-{}", begun.len());
            begun.push(session.clone());
            let cookie = format!("APP={session}; Path=/; HttpOnly{cookie_attributes}");
            Page::new(302).header("Set-Cookie", &cookie).header("Location", &provider).into()
        }
        "/acs" => {
            logins.lock().unwrap().push(is_known(request, &begun.lock().unwrap(), &name));
            Reply::status(200)
        }
        _ => Reply::status(200),
    });
}

fn is_known(request: &Received, begun: &[String], server: &str) -> Result<(), String> {
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

/// Another site, which thinks for three seconds and posts back.
fn provider(origin: &Origin, back: &str) {
    let form = format!(
        "<form id=f method=post action='{back}'><input name=SAMLResponse value=x></form>
        <script>setTimeout(() => document.getElementById('f').submit(), 3000)</script>"
    );
    origin.behave(move |_| html(&form));
}

struct Login {
    site: Site,
    logins: Logins,
    _running: (Vec<Origin>, Burdock, Peer),
    start: String,
}

impl Login {
    /// Everything runs, and the browser comes by `scheme`. `sticky` is the upstream's; the application's own cookie has these attributes.
    fn prepare(scheme: &str, sticky: &str, cookie_attributes: &'static str) -> Self {
        let site = Site::take();
        let port = if scheme == "https" { TLS_PORT } else { 7000 };
        let url = |host: &str, path: &str| format!("{scheme}://{host}.test:{port}{path}");
        let logins = Logins::default();
        let mut origins: Vec<Origin> = (1..=SERVERS).map(|n| site.origin(n)).collect();
        for origin in &origins {
            application(origin, cookie_attributes, url("provider", "/"), &logins);
        }
        let [at_provider, portal] = [PROVIDER, PORTAL].map(|port| Origin::start("elsewhere", site.at(port)));
        provider(&at_provider, &url("app", "/acs"));
        let embedded = url("app", "/login");
        portal.behave(move |_| html(&format!("<iframe src='{embedded}'></iframe>")));
        origins.extend([at_provider, portal]);
        let shop = crate::harness::shop(SERVERS, sticky);
        let burdock = site.burdock(&format!("listeners: [{{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}}]\n{shop}"));
        let hosts = [("app.test", BURDOCK), ("provider.test", PROVIDER), ("portal.test", PORTAL)];
        let peer = Peer::terminator(&site, &hosts);
        Self { start: url("app", "/login"), site, logins, _running: (origins, burdock, peer) }
    }

    fn embedded(self) -> Self {
        Self { start: self.start.replace("app.test", "portal.test").replace("/login", "/"), ..self }
    }

    /// Five logins, each in a browser of its own: how many came back to where they began, and what the others met.
    fn five(self) -> (usize, Vec<String>) {
        for nth in 1..=5 {
            let _browser = Browser::open(&self.site, &self.start);
            eventually("the login comes back", || (self.logins.lock().unwrap().len() == nth).then_some(()));
        }
        let logins = self.logins.lock().unwrap();
        let failed: Vec<String> = logins.iter().filter_map(|login| login.clone().err()).collect();
        (logins.len() - failed.len(), failed)
    }
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_login_comes_back_by_a_cross_site_post_over_tls() {
    let (logged_in, failed) = Login::prepare("https", "sticky: cookie", "; Secure; SameSite=None").five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_login_comes_back_by_a_cross_site_post_without_tls() {
    let (logged_in, failed) = Login::prepare("http", "sticky: cookie", "").five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn a_login_in_a_frame_of_another_site_comes_back_over_tls() {
    let (logged_in, failed) = Login::prepare("https", "sticky: cookie", "; Secure; SameSite=None").embedded().five();
    assert_eq!(logged_in, 5, "{failed:?}");
}

/// What the default is good for: with Lax these logins fail, so the tests above can.
#[test]
#[ignore = "needs chromium and haproxy: scripts/install full"]
fn with_same_site_lax_a_login_over_tls_does_not_come_back() {
    let (logged_in, failed) =
        Login::prepare("https", "sticky: [{cookie: {same_site: lax}}]", "; Secure; SameSite=None").five();
    assert!(logged_in < 5, "{failed:?}");
}
