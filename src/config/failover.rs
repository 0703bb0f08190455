//! `failover` and `retry` of an upstream.

use ::http::StatusCode;
use serde_json::json;

use crate::config::schema::choice::{Chosen, Form, choice};
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{Hint, Leaf, ListOf, Read};
use crate::config::schema::scalar::{Bool, Int};
use crate::config::schema::tree::Node;
use crate::config::schema::units::Positive;
use crate::upstream::failover::{Action, Failover, OnFull};
use crate::upstream::retry::{Replays, Retry, RetryStatuses, ShouldRetry};

record! {
    "failover" => Failover {
        /// The server is down: its checks or requests to it failed.
        down: AtOnce = "permanent",
        /// The server is in maintenance.
        maint: AtOnce = "permanent",
        /// The server has max_conns requests in flight.
        full: OnFullText = "{wait: 2s, then: temporary}",
        /// The server's drain deadline has passed.
        drained: AtOnce = "permanent",
        /// The server no longer exists.
        unknown: AtOnce = "permanent",
    }
}

choice! {
    "a failover action" => Action {
        /// The session moves to the server that answers.
        permanent => Self::Permanent,
        /// Another server answers, and the session returns when its own server can serve it.
        temporary => Self::Temporary(None),
        /// The same, but the session moves when its server has been unable to serve it for this long.
        temporary(Positive) => |limit| Self::Temporary(Some(limit)),
        /// The request is refused with this status.
        refuse(Refusal) => Self::Refuse,
    }
}

/// An action for a cause for which waiting does not help.
pub(crate) struct AtOnce;

impl Read for AtOnce {
    type Value = Action;

    fn read(node: &Node, findings: &mut Findings) -> Option<Action> {
        if node.get("wait").is_some() {
            let help = "only a full server has a queue: full: {wait: 2s, then: temporary}";
            findings.fault_with_help(node.at, "expected a failover action without a wait, found {wait: …}", help);
            return None;
        }
        Action::read(node, findings)
    }

    fn schema() -> serde_json::Value {
        Action::schema()
    }
}

/// An action, or a wait and the action that follows it.
struct OnFullText;

record! {
    "a wait" => struct WaitText {
        /// How long the session waits for a slot at its server.
        wait: Positive,
        /// The action after that time, or if the queue is full.
        then: AtOnce = "temporary",
    }
}

impl Read for OnFullText {
    type Value = OnFull;

    fn read(node: &Node, findings: &mut Findings) -> Option<OnFull> {
        if node.get("wait").is_some() || node.get("then").is_some() {
            return WaitText::read(node, findings).map(|WaitText { wait, then }| OnFull { wait: Some(wait), then });
        }
        Chosen::of::<Action>(node, &[("wait", Form::Map)], findings)?;
        Action::read(node, findings).map(OnFull::from)
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [Action::schema(), WaitText::schema()]})
    }
}

/// A status of 400 to 599.
struct Refusal;

impl Leaf for Refusal {
    type Value = StatusCode;
    const EXPECTED: &'static str = "a status from 400 to 599";

    fn parse(text: &str) -> Result<StatusCode, Hint> {
        Ok(StatusCode::from_u16(Int::<u16, 400, 599>::parse(text).map_err(|_| Hint::unknown())?)?)
    }

    fn schema() -> serde_json::Value {
        <Int<u16, 400, 599> as Leaf>::schema()
    }
}

record! {
    "retry" => struct RetryText {
        /// Attempts in all, including the first.
        tries: Int<u8, 1, 16> = "3",
        /// Attempts at one server before it is given up for this request.
        same_server: Int<u8, 1, 16> = "1",
        /// Failures after which a request is retried; a POST only after a failed connection, unless non_idempotent.
        when: ListOf<FailureText> = "[connect, closed]",
        /// Another name of when, which YAML 1.1 programs take for true.
        on: Option<ListOf<FailureText>>,
        /// Whether POST and PATCH, too, are retried after failures other than a failed connection: a server may then act
        /// on one request twice.
        non_idempotent: Bool = "false",
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FailureText {
    Connect,
    Closed,
    Status(StatusCode),
}

choice! {
    "a failure" => FailureText {
        /// The connection failed.
        connect => Self::Connect,
        /// The connection ended before a response began.
        closed => Self::Closed,
        /// The server answered 429, and another server is there.
        status_429 => Self::Status(StatusCode::TOO_MANY_REQUESTS),
        /// The server answered 500, and another server is there.
        status_500 => Self::Status(StatusCode::INTERNAL_SERVER_ERROR),
        /// The server answered 502, and another server is there.
        status_502 => Self::Status(StatusCode::BAD_GATEWAY),
        /// The server answered 503, and another server is there.
        status_503 => Self::Status(StatusCode::SERVICE_UNAVAILABLE),
        /// The server answered 504, and another server is there.
        status_504 => Self::Status(StatusCode::GATEWAY_TIMEOUT),
    }
}

impl From<RetryText> for Retry {
    fn from(written: RetryText) -> Self {
        let when = written.on.unwrap_or(written.when);
        let should_retry = |failure| if when.contains(&failure) { ShouldRetry::Yes } else { ShouldRetry::No };
        let statuses: Vec<StatusCode> =
            RetryStatuses::ALL.into_iter().filter(|&status| when.contains(&FailureText::Status(status))).collect();
        Self {
            tries: written.tries,
            same_server: written.same_server,
            on_connect: should_retry(FailureText::Connect),
            on_closed: should_retry(FailureText::Closed),
            on_status: RetryStatuses::new(&statuses),
            replays: if written.non_idempotent { Replays::All } else { Replays::Idempotent },
        }
    }
}
