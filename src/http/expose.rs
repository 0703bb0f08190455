//! Access-Control-Expose-Headers: which headers of a response a page from another origin may read (Fetch standard,
//! "CORS protocol").

use ::http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use ::http::{HeaderMap, HeaderName, HeaderValue};

/// The Access-Control-Expose-Headers that also contains `name`. None if it does already. All other names are kept;
/// several lines become one. `*` does not count, since it is no wildcard for requests with credentials.
pub fn expose(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    if exposed(headers).any(|known| known.eq_ignore_ascii_case(name.as_str().as_bytes())) {
        return None;
    }
    let all: Vec<&[u8]> = exposed(headers).chain([name.as_str().as_bytes()]).collect();
    HeaderValue::try_from(all.join(&b", "[..])).ok()
}

/// The names of all lines, trimmed, without empty ones.
fn exposed(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().map(HeaderValue::as_bytes);
    let names = lines.flat_map(|line| line.split(|&byte| byte == b','));
    names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Option<String> {
        let line = |line: &&str| (ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_str(line).unwrap());
        let value = expose(&lines.iter().map(line).collect(), &HeaderName::from_static("x-session"));
        value.map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_name_is_added_to_those_already_exposed() {
        assert_eq!(after(&[]).as_deref(), Some("x-session"));
        assert_eq!(after(&[" ,"]).as_deref(), Some("x-session"));
        assert_eq!(after(&["ETag ,X-Session-Id"]).as_deref(), Some("ETag, X-Session-Id, x-session"));
        assert_eq!(after(&["ETag", "Age"]).as_deref(), Some("ETag, Age, x-session"));
    }

    #[test]
    fn a_name_already_exposed_is_not_added() {
        assert_eq!(after(&["X-Session"]), None);
        assert_eq!(after(&["ETag", "Age , x-SESSION,"]), None);
    }

    #[test]
    fn a_star_does_not_expose_the_name() {
        assert_eq!(after(&["*"]).as_deref(), Some("*, x-session"));
    }
}
