//! When a request that failed at one server may be sent to another. Never a second response, never a POST replayed.

use ::http::Method;

/// How often and on what a request is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Tries in all, the first included: 1 to 16.
    pub tries: u8,
    /// Tries at one server before it is given up for this request.
    pub same_server: u8,
    pub on_connect: Again,
    pub on_closed: Again,
}

/// Whether a kind of failure is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    Yes,
    No,
}

/// How an attempt failed, as far as trying again is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection came about, so the server has seen nothing.
    Connect,
    /// The connection ended before a response began; the server may have seen the request.
    Closed,
    /// A kept connection turned out to be closed: the server's idle close crossed the request on the way.
    Stale,
    /// It was silent for too long, having all of the request.
    Timeout,
    /// Anything else: a broken response, a silence that the client had a part in.
    Other,
}

/// What of the request and its response has already passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Nothing went to the client and the whole request can be sent again.
    Replayable,
    /// A response has begun, or the body sent so far is no longer at hand.
    Committed,
}

impl Retry {
    /// Whether an attempt that failed may be followed by another, `tries` having been made.
    ///
    /// A connect failure is safe for every method. After that only idempotent methods (RFC 9110 section 9.2.2) are
    /// replayed: the server may have acted on the request before the connection closed.
    pub fn after(&self, failure: Failure, method: &Method, progress: Progress, tries: u8) -> Again {
        if tries >= self.tries || progress == Progress::Committed {
            return Again::No;
        }
        match failure {
            Failure::Connect => self.on_connect,
            Failure::Closed if method.is_idempotent() => self.on_closed,
            Failure::Stale if method.is_idempotent() => Again::Yes,
            Failure::Closed | Failure::Stale | Failure::Timeout | Failure::Other => Again::No,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 3, same_server: 1, on_connect: Again::Yes, on_closed: Again::Yes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failure: Failure, method: Method, progress: Progress, tries: u8) -> bool {
        Retry::default().after(failure, &method, progress, tries) == Again::Yes
    }

    #[test]
    fn a_post_is_tried_again_only_when_no_server_has_seen_it() {
        assert!(after(Failure::Connect, Method::POST, Progress::Replayable, 1));
        assert!(!after(Failure::Closed, Method::POST, Progress::Replayable, 1));
        assert!(!after(Failure::Stale, Method::POST, Progress::Replayable, 1));
    }

    #[test]
    fn an_idempotent_request_is_tried_again_until_its_tries_are_used() {
        assert!(after(Failure::Closed, Method::GET, Progress::Replayable, 1));
        assert!(after(Failure::Stale, Method::PUT, Progress::Replayable, 2));
        assert!(!after(Failure::Closed, Method::GET, Progress::Replayable, 3));
    }

    #[test]
    fn nothing_is_tried_again_once_a_response_has_begun() {
        assert!(!after(Failure::Closed, Method::GET, Progress::Committed, 1));
        assert!(!after(Failure::Connect, Method::GET, Progress::Committed, 1));
    }

    #[test]
    fn a_timeout_is_not_tried_again() {
        assert!(!after(Failure::Timeout, Method::GET, Progress::Replayable, 1));
    }
}
