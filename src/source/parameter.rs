//! Parameters of a query and of path segments. Nothing is percent-decoded.

use memchr::memchr;

/// All values of a name in a query.
pub(crate) fn of_query<'q>(query: &'q str, name: &str) -> impl Iterator<Item = &'q str> {
    query.split('&').filter_map(move |pair| value(pair, name))
}

/// All values of a name in a path, in any of its segments (RFC 3986 3.3: `/segment;name=value`).
pub(crate) fn of_path<'p>(path: &'p str, name: &str) -> impl Iterator<Item = &'p str> {
    let first = memchr(b';', path.as_bytes()).unwrap_or(path.len());
    // Parameters are only after the first `;`, and in each segment after a `;`.
    let segments = path[first..].split('/');
    segments.flat_map(|segment| segment.split(';').skip(1)).filter_map(move |pair| value(pair, name))
}

fn value<'t>(pair: &'t str, name: &str) -> Option<&'t str> {
    pair.strip_prefix(name)?.strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(query: &str) -> Vec<&str> {
        of_query(query, "sid").collect()
    }

    fn path(path: &str) -> Vec<&str> {
        of_path(path, "sid").collect()
    }

    #[test]
    fn a_query_has_parameters_between_ampersands() {
        assert_eq!(query("a=1&sid=x=%41;y&sid=&sid=z"), ["x=%41;y", "", "z"]);
        assert_eq!(query("sid&xsid=1&SID=2&sids=3&a=sid=4"), [""; 0]);
    }

    #[test]
    fn a_path_has_parameters_in_its_segments() {
        assert_eq!(path("/a;sid=1/b"), ["1"]);
        assert_eq!(path("/a;v=2;sid=1;sid=3/b;sid=%2F;x"), ["1", "3", "%2F"]);
        assert_eq!(path("/;sid=1"), ["1"]);
        assert_eq!(path(";sid=1"), ["1"]);
    }

    #[test]
    fn a_path_parameter_follows_a_semicolon() {
        for none in ["/sid=1", "/a;b/sid=1", "/a;SID=1", "/a;sid", "/a;xsid=1", "/a;b=sid=1", "", "*"] {
            assert_eq!(path(none), [""; 0], "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_parameter_is_found_in_any_segment(before in "[a-z/.=]{0,9}", value in "[a-zA-Z0-9.=%]{0,9}", after in "([/;][a-rt-z=/]{0,9})?") {
            let text = format!("/{before};sid={value}{after}");
            prop_assert_eq!(path(&text), [value.as_str()]);
        }

        #[test]
        fn any_parameters_can_be_parsed(text: String) {
            let _ = (query(&text), path(&text));
        }
    }
}
