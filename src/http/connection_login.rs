//! Logins that belong to a connection and not to a request: NTLM and Negotiate. A server that has accepted such a login
//! attributes every later request on that connection to the same user (RFC 4559 6), so no other client's request may
//! use it. This module knows headers only; the shell decides which connection a request gets.

use ::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use ::http::{HeaderMap, HeaderValue, StatusCode};

use super::Response;

/// Whether a request carries such a login, or a step of one.
pub fn is_carried(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| names_one(value.as_bytes()))
}

/// Whether a response asks for such a login: 401 with NTLM or Negotiate among its challenges. A comma inside a quoted
/// parameter counts as a separator too, which can only find too many challenges.
pub fn is_asked_for(response: &Response<'_>) -> bool {
    response.status == StatusCode::UNAUTHORIZED
        && response.headers.get_all(WWW_AUTHENTICATE).iter().any(|value| challenges(value).any(names_one))
}

fn challenges(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',')
}

/// Compares only the first four characters of the scheme, as HAProxy does, because there is also a scheme Nego2.
fn names_one(challenge: &[u8]) -> bool {
    let challenge = challenge.trim_ascii_start();
    [&b"ntlm"[..], b"nego"].iter().any(|scheme| challenge.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: ::http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn ntlm_and_negotiate_are_recognized_in_any_case_and_among_others() {
        for values in [&["NTLM TlRM"][..], &["negotiate YII="], &["NEGOTIATE"], &["Basic YTpi", "ntlm TlRM"], &["Nego2 x"]] {
            assert!(is_carried(&headers(AUTHORIZATION, values)), "{values:?}");
        }
        for values in [&[][..], &["Basic TlRM"], &["Bearer ntlm"], &["Digest username=\"nego\""], &["NTL"], &[""]] {
            assert!(!is_carried(&headers(AUTHORIZATION, values)), "{values:?}");
        }
    }

    #[test]
    fn a_401_asks_for_a_login_with_any_of_its_challenges() {
        let asks = |status, values: &[&'static str]| {
            is_asked_for(&Response { status, headers: &headers(WWW_AUTHENTICATE, values) })
        };
        for values in
            [&["NTLM"][..], &["Basic realm=\"a\", Negotiate"], &["Negotiate, NTLM"], &["Basic realm=\"a\"", "NTLM"]]
        {
            assert!(asks(StatusCode::UNAUTHORIZED, values), "{values:?}");
            assert!(!asks(StatusCode::OK, values), "{values:?}");
        }
        for values in [&[][..], &["Basic realm=\"NTLM\""], &["Bearer"], &["Digest realm=\"x\", nonce=\"y\""]] {
            assert!(!asks(StatusCode::UNAUTHORIZED, values), "{values:?}");
        }
    }
}
