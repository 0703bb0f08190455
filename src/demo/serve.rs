//! The shop as an HTTP server.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::COOKIE;
use http::{Method, StatusCode};
use pingora::apps::ServerApp;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::answer::{self, Answer, SESSION_COOKIE, SessionCookie};
use super::decisions::Decisions;
use super::page;
use super::shop::{NoSuchItem, Origin, Session, Shop, Visit};

const MAX_CONNECTIONS: usize = 512;
const MAX_FORM: usize = 4096;
/// Burdock writes its access log in batches, so the line of a page's request comes a little after the page.
const LOG_LAG: Duration = Duration::from_millis(150);

struct App {
    shop: Shop,
    decisions: Decisions,
}

/// Serves until the process ends: SIGTERM ends it at once, as a crash would.
///
/// # Errors
/// When no more connections can be accepted.
pub async fn serve(listener: TcpListener, shop: Shop, decisions: Decisions) -> io::Result<Infallible> {
    let app = Arc::new(App { shop, decisions });
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (_never_sent, shutdown) = watch::channel(false);
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
        tokio::spawn(async move {
            let mut next: Option<pingora::protocols::Stream> = Some(Box::new(Stream::from(connection)));
            while let Some(stream) = next.take() {
                next = app.process_new(stream, &shutdown).await;
            }
            drop(permit);
        });
    }
}

#[async_trait]
impl ServeHttp for App {
    async fn response(&self, exchange: &mut ServerSession) -> Answer {
        let request = exchange.req_header();
        let head = request.method == Method::HEAD;
        let method = if head { Method::GET } else { request.method.clone() };
        let path = request.uri.path().to_owned();
        let session = session_name(request.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()));
        let Some(form) = read_form(exchange).await else {
            return answer::text(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large");
        };
        if path == "/decisions" {
            sleep(LOG_LAG).await;
        }
        let mut answer = self.answer(&method, &path, session.as_deref(), &form);
        if head {
            answer.body_mut().clear();
        }
        answer
    }
}

impl App {
    fn answer(&self, method: &Method, path: &str, session: Option<&str>, form: &Form) -> Answer {
        match (method.as_str(), path) {
            ("GET", "/") => answer::html(page::shop(&self.shop.id, &self.shop.visit(session), &self.decisions)),
            ("GET", "/decisions") => answer::html(page::decisions(&self.decisions.latest())),
            ("GET", "/healthz") => answer::text(StatusCode::OK, "ok"),
            ("GET", "/api/pid") => answer::text(StatusCode::OK, &std::process::id().to_string()),
            ("GET", "/api/whoami" | "/api/cart") => self.api(&self.shop.visit(session), &SessionCookie::Keep),
            ("POST", "/logout") => self.log_out(session),
            ("POST", "/login") => self.after_form(session, Ok(self.shop.log_in(session, &form.get("name")))),
            ("POST", "/api/login") => self.after_call(Ok(self.shop.log_in(session, &form.get("name")))),
            ("POST", "/cart") => self.after_form(session, self.put(session, form)),
            ("POST", "/api/cart") => self.after_call(self.put(session, form)),
            _ => answer::text(StatusCode::NOT_FOUND, "no such page in this shop"),
        }
    }

    fn put(&self, session: Option<&str>, form: &Form) -> Result<String, NoSuchItem> {
        self.shop.put(session, &form.get("item"))
    }

    fn log_out(&self, session: Option<&str>) -> Answer {
        if let Some(session) = session {
            self.shop.log_out(session);
        }
        answer::with_cookie(answer::to_the_page(), &SessionCookie::Drop)
    }

    fn after_form(&self, before: Option<&str>, outcome: Result<String, NoSuchItem>) -> Answer {
        match outcome {
            Ok(session) if before == Some(session.as_str()) => answer::to_the_page(),
            Ok(session) => answer::with_cookie(answer::to_the_page(), &SessionCookie::Set(session)),
            Err(refusal) => refused(&refusal),
        }
    }

    fn after_call(&self, outcome: Result<String, NoSuchItem>) -> Answer {
        match outcome {
            Ok(session) => self.api(&self.shop.visit(Some(&session)), &SessionCookie::Set(session)),
            Err(refusal) => refused(&refusal),
        }
    }

    fn api(&self, visit: &Visit, cookie: &SessionCookie) -> Answer {
        let (session, note) = match visit {
            Visit::Nameless => (Session::default(), None),
            Visit::Known(session) if session.origin == Origin::New => (session.clone(), None),
            Visit::Known(session) => (session.clone(), Some(page::LOST)),
            Visit::Unknown => (Session::default(), Some(page::LOST)),
        };
        let cart: serde_json::Map<_, _> = session.cart().map(|(good, count)| (good.to_owned(), count.into())).collect();
        let mut body = json!({"server": self.shop.id, "customer": session.customer, "cart": cart});
        if let (Some(note), Some(body)) = (note, body.as_object_mut()) {
            body.insert("note".to_owned(), note.into());
        }
        answer::with_cookie(answer::json(StatusCode::OK, &body), cookie)
    }
}

struct Form(Vec<u8>);

impl Form {
    /// The first field of that name; empty if there is none.
    fn get(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(&self.0);
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

fn refused(refusal: &NoSuchItem) -> Answer {
    answer::json(StatusCode::BAD_REQUEST, &json!({"error": refusal.to_string()}))
}

/// None if the body is too long for a form, or incomplete.
async fn read_form(exchange: &mut ServerSession) -> Option<Form> {
    let mut body = Vec::new();
    while let Some(chunk) = exchange.read_request_body().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_FORM {
            return None;
        }
    }
    Some(Form(body))
}

fn session_name<'a>(cookies: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        App { shop: Shop::new("shop-1".to_owned()), decisions: Decisions::default() }
    }

    fn call(app: &App, method: &Method, path: &str, session: Option<&str>, form: &str) -> (StatusCode, String) {
        let answer = app.answer(method, path, session, &Form(form.as_bytes().to_vec()));
        (answer.status(), String::from_utf8(answer.into_body()).unwrap())
    }

    #[test]
    fn customer_text_is_escaped() {
        let app = app();
        let session = app.shop.log_in(None, "<script>alert('1')</script>");
        let (_, page) = call(&app, &Method::GET, "/", Some(&session), "");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn lost_cart_shows_on_the_page_and_in_the_api() {
        let app = app();
        for path in ["/", "/api/cart"] {
            let (status, body) = call(&app, &Method::GET, path, Some("of-another-shop"), "");
            assert_eq!(status, StatusCode::OK);
            assert!(body.contains(page::LOST), "{body}");
        }
    }

    #[test]
    fn api_returns_cart_and_server() {
        let app = app();
        let (_, body) = call(&app, &Method::POST, "/api/cart", None, "item=teasel");
        assert_eq!(body, "{\"cart\":{\"teasel\":1},\"customer\":null,\"server\":\"shop-1\"}\n");
        let (status, body) = call(&app, &Method::POST, "/api/cart", None, "item=caviar");
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }

    #[test]
    fn session_is_found_among_other_cookies() {
        let cookies = ["a=1; SHOP_SESSION=abc", "b=2"];
        assert_eq!(session_name(cookies.into_iter()).as_deref(), Some("abc"));
        assert_eq!(session_name(["XSHOP_SESSION=abc"].into_iter()), None);
    }
}
