//! How many Burdocks a request has passed, so that one whose upstream leads back to Burdock does not go round until no descriptor is
//! left. `check` refuses servers that are Burdock's own listeners; it cannot see a way back through another proxy or another address.
//!
//! The count is in a header of its own. It begins with a request that a proxy relays, which every later pass is: so what comes directly
//! from a client bears no header more. Via (RFC 9110 7.6.3) would do, but servers such as nginx and IIS stop compressing what has it.
//! A client can only have its own request refused by the header: what it claims adds to the passes, and never takes one away.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::edits::Edits;

const NAME: &str = "Burdock-Hops";
static HOPS: HeaderName = HeaderName::from_static("burdock-hops");

/// The counts that are written. As many Burdocks in a row are far more than anyone needs.
const COUNTS: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];

/// Whether the request has passed so many Burdocks that it must be going round.
pub fn is_looping(headers: &HeaderMap) -> bool {
    passed(headers) >= COUNTS.len()
}

/// Counts this pass.
pub(super) fn count(headers: &HeaderMap, edits: &mut Edits) {
    if let Some(count) = COUNTS.get(passed(headers)) {
        edits.set_as_written(NAME, HeaderValue::from_static(count));
    }
}

/// The largest count, if there are several. What is no number counts as none.
fn passed(headers: &HeaderMap) -> usize {
    let counts = headers.get_all(&HOPS).iter().filter_map(|count| count.to_str().ok()?.trim().parse().ok());
    counts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(counts: &[&str]) -> HeaderMap {
        counts.iter().map(|count| (HOPS.clone(), HeaderValue::from_str(count).unwrap())).collect()
    }

    #[test]
    fn a_request_may_pass_ten_burdocks() {
        let mut request = HeaderMap::new();
        for passed in 0..COUNTS.len() {
            assert!(!is_looping(&request), "{passed}");
            let mut edits = Edits::default();
            count(&request, &mut edits);
            edits.apply(&mut request).unwrap();
        }
        assert!(is_looping(&request));
    }

    #[test]
    fn claims_take_no_pass_away() {
        for (claimed, written) in [(&["0", "7"][..], "8"), (&["7", "0"], "8"), (&["x"], "1"), (&["-1"], "1"), (&[], "1")] {
            let (mut request, mut edits) = (headers(claimed), Edits::default());
            count(&request, &mut edits);
            edits.apply(&mut request).unwrap();
            assert_eq!(request.get_all(&HOPS).iter().collect::<Vec<_>>(), [written]);
        }
        assert!(is_looping(&headers(&["4000000000"])));
    }
}
