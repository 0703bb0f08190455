//! When a request that failed at one server may be sent to another. The client never gets a second response, and a POST
//! is replayed only if the configuration says so.

use ::http::{Method, StatusCode};

/// How often, and after which failures, a request is retried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Attempts in all, including the first: 1 to 16.
    pub tries: u8,
    /// Attempts at one server before it is given up for this request.
    pub same_server: u8,
    pub on_connect: ShouldRetry,
    pub on_closed: ShouldRetry,
    pub on_status: RetryStatuses,
    /// Requests that a server may have acted on.
    pub replays: Replays,
}

/// Which requests may be sent again although a server may have acted on them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replays {
    /// Those with idempotent methods (RFC 9110 section 9.2.2).
    #[default]
    Idempotent,
    /// All: the application can do without that promise (nginx's `non_idempotent`).
    All,
}

impl Replays {
    fn allows(self, method: &Method) -> bool {
        match self {
            Self::Idempotent => method.is_idempotent(),
            Self::All => true,
        }
    }
}

/// The statuses of a server after which a request is retried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryStatuses([Option<StatusCode>; Self::ALL.len()]);

impl RetryStatuses {
    /// Those that may be configured. By each of them a server says that it did not do what the request asks for.
    pub const ALL: [StatusCode; 5] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];

    /// Those of [`Self::ALL`] that are in `statuses`.
    pub fn new(statuses: &[StatusCode]) -> Self {
        Self(Self::ALL.map(|status| statuses.contains(&status).then_some(status)))
    }

    fn contains(&self, status: StatusCode) -> bool {
        self.0.contains(&Some(status))
    }
}

/// Whether a request is retried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShouldRetry {
    Yes,
    No,
}

/// How an attempt failed, as far as it matters for a retry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The connection failed, so the server has seen nothing.
    Connect,
    /// The connection ended before a response began; the server may have seen the request.
    Closed,
    /// A pooled connection was closed: the server closed it as idle while the request was on its way.
    Stale,
    /// The server received the whole request and did not answer in time.
    Timeout,
    /// The server answered with this status.
    Status(StatusCode),
    /// No connection could be opened for lack of something on this host, such as descriptors. It says nothing of the server, and
    /// another would fail alike.
    Shortage,
    /// Anything else: an invalid response, or a timeout that the client contributed to.
    Other,
}

/// The connection on which a request may be sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConnectionNeed {
    /// One from the pool, or a new one.
    #[default]
    Any,
    /// A new one. A pooled connection turned out to be closed, and others may be as dead as that one: when a server
    /// restarts, all of them are. A new one fails only if the server does.
    New,
}

/// How far the request and its response have got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The client has received nothing, and the whole request can be sent again.
    Replayable,
    /// A response has begun, or the body sent so far is no longer available.
    Committed,
}

impl Retry {
    /// Whether a failed attempt may be followed by another, after `tries` attempts. A stale connection is no try.
    ///
    /// A failed connection is safe to retry for every method. After that only idempotent methods are replayed, unless
    /// configured otherwise: the server may have acted on the request before the connection closed.
    pub fn after(&self, failure: Failure, method: &Method, progress: Progress, tries: u8) -> ShouldRetry {
        if tries >= self.tries || progress == Progress::Committed {
            return ShouldRetry::No;
        }
        match failure {
            Failure::Connect => self.on_connect,
            Failure::Closed if self.replays.allows(method) => self.on_closed,
            Failure::Stale if self.replays.allows(method) => ShouldRetry::Yes,
            Failure::Status(status) if self.replays.allows(method) && self.on_status.contains(status) => ShouldRetry::Yes,
            Failure::Closed
            | Failure::Stale
            | Failure::Status(_)
            | Failure::Timeout
            | Failure::Shortage
            | Failure::Other => ShouldRetry::No,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 3,
            same_server: 1,
            on_connect: ShouldRetry::Yes,
            on_closed: ShouldRetry::Yes,
            on_status: RetryStatuses::default(),
            replays: Replays::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failure: Failure, method: Method, progress: Progress, tries: u8) -> bool {
        Retry::default().after(failure, &method, progress, tries) == ShouldRetry::Yes
    }

    #[test]
    fn a_post_is_retried_only_if_no_server_has_seen_it() {
        assert!(after(Failure::Connect, Method::POST, Progress::Replayable, 1));
        assert!(!after(Failure::Closed, Method::POST, Progress::Replayable, 1));
        assert!(!after(Failure::Stale, Method::POST, Progress::Replayable, 1));
    }

    #[test]
    fn a_post_that_a_server_may_have_seen_is_retried_if_so_configured() {
        let on_status = RetryStatuses::new(&[StatusCode::SERVICE_UNAVAILABLE]);
        let all = Retry { on_status, replays: Replays::All, ..Retry::default() };
        let after = |failure, progress, tries| all.after(failure, &Method::POST, progress, tries);
        for failure in [Failure::Closed, Failure::Stale, Failure::Status(StatusCode::SERVICE_UNAVAILABLE)] {
            assert_eq!(after(failure, Progress::Replayable, 1), ShouldRetry::Yes);
            assert_eq!(after(failure, Progress::Committed, 1), ShouldRetry::No, "the body is gone");
            assert_eq!(after(failure, Progress::Replayable, 3), ShouldRetry::No, "all tries are used up");
        }
        for failure in [Failure::Status(StatusCode::BAD_GATEWAY), Failure::Timeout, Failure::Other] {
            assert_eq!(after(failure, Progress::Replayable, 1), ShouldRetry::No);
        }
    }

    #[test]
    fn an_idempotent_request_is_retried_up_to_its_limit() {
        assert!(after(Failure::Closed, Method::GET, Progress::Replayable, 1));
        assert!(after(Failure::Stale, Method::PUT, Progress::Replayable, 2));
        assert!(!after(Failure::Closed, Method::GET, Progress::Replayable, 3));
    }

    #[test]
    fn a_stale_connection_is_retried_even_with_one_try() {
        let once = Retry { tries: 1, ..Retry::default() };
        assert_eq!(once.after(Failure::Stale, &Method::GET, Progress::Replayable, 0), ShouldRetry::Yes);
    }

    #[test]
    fn nothing_is_retried_once_a_response_has_begun() {
        assert!(!after(Failure::Closed, Method::GET, Progress::Committed, 1));
        assert!(!after(Failure::Connect, Method::GET, Progress::Committed, 1));
    }

    #[test]
    fn a_shortage_on_this_host_is_not_retried() {
        assert!(!after(Failure::Shortage, Method::GET, Progress::Replayable, 1));
    }

    #[test]
    fn a_timeout_is_not_retried() {
        assert!(!after(Failure::Timeout, Method::GET, Progress::Replayable, 1));
    }
}
