//! What becomes of requests and sessions whose server fails them: `failover` and `retry` of an upstream.

use ::http::StatusCode;

use super::choice::choice;
use super::leaf::Int;
use super::read::{Leaf, ListOf, Mend};
use super::record::record;
use super::units::Positive;
use crate::upstream::failover::{Action, Failover};
use crate::upstream::retry::{Again, Retry};

record! {
    "failover" => Failover {
        /// Its check says so, or a connection to it failed.
        down: Action = "permanent",
        /// Its state is maint.
        maint: Action = "permanent",
        /// It has max_conns requests in flight.
        full: Action = "temporary",
        /// Its drain deadline has passed.
        drained: Action = "permanent",
        /// There is no such server any more.
        unknown: Action = "permanent",
    }
}

choice! {
    "a failover action" => Action {
        /// The session moves to the server that answers.
        permanent => Self::Permanent,
        /// Another server answers, and the session returns when its own can serve it.
        temporary => Self::Temporary(None),
        /// As the word, but the session moves once its server has been unable to serve it for this long.
        temporary(Positive) => |limit| Self::Temporary(Some(limit)),
        /// The request is refused with this status.
        refuse(Refusal) => Self::Refuse,
    }
}

/// A status of 400 to 599.
struct Refusal;

impl Leaf for Refusal {
    type Value = StatusCode;
    const EXPECTED: &'static str = "a status from 400 to 599";

    fn parse(text: &str) -> Result<StatusCode, Mend> {
        Ok(StatusCode::from_u16(Int::<u16, 400, 599>::parse(text).map_err(|_| Mend::unknown())?)?)
    }

    fn schema() -> serde_json::Value {
        <Int<u16, 400, 599> as Leaf>::schema()
    }
}

record! {
    "retry" => struct RetryText {
        /// Tries in all, the first included.
        tries: Int<u8, 1, 16> = "3",
        /// Tries at one server before it is given up for this request.
        same_server: Int<u8, 1, 16> = "1",
        /// Failures after which a request is sent again; a POST only after a connection that did not come about.
        on: ListOf<FailureText> = "[connect, closed]",
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureText {
    Connect,
    Closed,
}

choice! {
    "a failure" => FailureText {
        /// No connection came about.
        connect => Self::Connect,
        /// The connection ended before a response began.
        closed => Self::Closed,
    }
}

impl From<RetryText> for Retry {
    fn from(written: RetryText) -> Self {
        let again = |failure| if written.on.contains(&failure) { Again::Yes } else { Again::No };
        Self {
            tries: written.tries,
            same_server: written.same_server,
            on_connect: again(FailureText::Connect),
            on_closed: again(FailureText::Closed),
        }
    }
}
