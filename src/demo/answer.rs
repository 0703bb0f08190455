//! The responses of a shop: status, body, cookie. It must not know what the shop sells.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

/// The shop's own session cookie, as a typical application has one.
pub const SESSION_COOKIE: &str = "SHOP_SESSION";

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-src 'self'; base-uri 'none'";

/// What a response does to the shop's session cookie.
pub enum SessionCookie {
    Keep,
    Set(String),
    Drop,
}

pub type Answer = Response<Vec<u8>>;

pub fn html(body: String) -> Answer {
    let mut answer = plain(StatusCode::OK, "text/html; charset=utf-8", body);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

pub fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    plain(status, "application/json", format!("{body}\n"))
}

pub fn text(status: StatusCode, body: &str) -> Answer {
    plain(status, "text/plain; charset=utf-8", format!("{body}\n"))
}

/// Redirects to the page after a form, so that reloading the page does not send the form twice.
pub fn to_the_page() -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "done");
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    answer
}

pub fn with_cookie(mut answer: Answer, cookie: &SessionCookie) -> Answer {
    let value = match cookie {
        SessionCookie::Keep => return answer,
        SessionCookie::Set(name) => format!("{SESSION_COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax"),
        SessionCookie::Drop => format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
    };
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
    answer
}

fn plain(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body.into_bytes());
    *answer.status_mut() = status;
    let length = HeaderValue::from(answer.body().len());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
