//! `health_check` of an upstream.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;

use ::http::{HeaderName, HeaderValue};
use serde_json::json;

use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::{Empty, OneOrMore, Shortened, record};
use crate::config::schema::read::{At, Hint, Leaf, MapOf, Read, State};
use crate::config::schema::scalar::Int;
use crate::config::schema::tree::{Node, Value};
use crate::config::schema::units::Positive;
use crate::upstream::health::{CheckSpec, HttpProbe, Probe, Thresholds};

record! {
    "a health check" => struct HealthCheckText {
        /// Checks that a connection is accepted.
        tcp: Option<At<Empty>>,
        /// Checks the response to a GET request.
        http: Option<At<HttpText>>,
        /// The port to check, if not the server's own.
        port: Option<Int<NonZeroU16, 1, 65_535>>,
        /// The time between checks of a server, plus or minus a tenth.
        interval: Positive = "2s",
        /// The timeout of a whole check: connection, request and response. At most the interval.
        timeout: At<Positive> = "1s",
        /// Successes in a row that bring a server up.
        rise: Int<NonZeroU32, 1, 1_000> = "2",
        /// Failures in a row that take it down.
        fall: Int<NonZeroU32, 1, 1_000> = "3",
    }
}

record! {
    "http" => struct HttpText {
        /// Path and query of the request.
        path: ProbePath = "/",
        /// The Host header; by default the server's address.
        host: Option<ProbeHost>,
        /// Further headers to send.
        headers: MapOf<HeaderName, HeaderValue> = "{}",
        /// Statuses that count as healthy.
        expect: OneOrMore<Statuses> = "200-399",
        /// Statuses by which a healthy server asks to keep its sessions and to get no new ones.
        drain: OneOrMore<Statuses> = "[]",
    }
}

/// The short form: a kind of check with default settings.
pub(crate) enum CheckWord {
    Tcp,
    Http,
}

choice! {
    "a kind of health check" => CheckWord {
        /// A connection is accepted.
        tcp => Self::Tcp,
        /// GET / is answered with a status from 200 to 399.
        http => Self::Http,
    }
}

impl Shortened for HealthCheckText {
    type Short = CheckWord;

    fn expand(short: &Node, findings: &mut Findings) -> Option<Node> {
        let kind = match CheckWord::read(short, findings)? {
            CheckWord::Tcp => "tcp",
            CheckWord::Http => "http",
        };
        Some(Node::map(kind, Node { at: short.at, value: Value::Map(Vec::new()) }))
    }
}

/// A path for a request line.
pub(crate) struct ProbePath;

/// A Host header.
pub(crate) struct ProbeHost;

/// `200` or `200-399`.
pub(crate) struct Statuses;

impl Leaf for ProbePath {
    type Value = String;
    const EXPECTED: &'static str = "a path such as /healthz";

    fn parse(text: &str) -> Result<String, Hint> {
        let sendable = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if sendable { Ok(text.to_owned()) } else { Err(Hint::by("a path starts with / and contains no spaces and no #")) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^/[^\\s#]*$"})
    }
}

impl Leaf for ProbeHost {
    type Value = String;
    const EXPECTED: &'static str = "a host such as shop.example.com or shop.example.com:8080";

    fn parse(text: &str) -> Result<String, Hint> {
        let authority: ::http::uri::Authority = text.parse()?;
        if authority.as_str().contains('@') { Err(Hint::unknown()) } else { Ok(text.to_owned()) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string"})
    }
}

impl Leaf for Statuses {
    type Value = RangeInclusive<u16>;
    const EXPECTED: &'static str = "a status such as 200 or a range such as 200-399";

    fn parse(text: &str) -> Result<Self::Value, Hint> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text| <Int<u16, 100, 599> as Leaf>::parse(text);
        let range = status(first)?..=status(last)?;
        if range.is_empty() { Err(Hint::by(format!("write the lower end first: {last}-{first}"))) } else { Ok(range) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": ["string", "integer"], "pattern": "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$", "minimum": 100, "maximum": 599})
    }
}

impl HealthCheckText {
    pub(crate) fn build(written: At<Self>, findings: &mut Findings) -> Option<CheckSpec> {
        let At { at, value: written, state } = written;
        let (timeout, interval) = (written.timeout.value, written.interval);
        if timeout > interval {
            let message = format!("{timeout:?} exceeds interval ({interval:?})");
            findings.fault_with_help(written.timeout.at, message, "a check must end before the next one starts");
        }
        let probe = match (written.tcp, written.http) {
            (Some(_), None) => Probe::Tcp,
            (None, Some(http)) => Probe::Http(http.value.build(findings)),
            (Some(tcp), Some(http)) => {
                findings.fault(tcp.at.max(http.at), "expected either tcp or http, found both");
                return None;
            }
            (None, None) if state == State::Flawed => return None,
            (None, None) => {
                findings.fault(at, "expected tcp: {} or http: {…}, found neither");
                return None;
            }
        };
        let thresholds = Thresholds { rise: written.rise, fall: written.fall };
        let port = written.port.map(NonZeroU16::get);
        Some(CheckSpec { probe, port, interval, timeout, thresholds })
    }
}

impl HttpText {
    fn build(self, findings: &mut Findings) -> HttpProbe {
        let mut headers = Vec::new();
        for (name, value) in self.headers {
            if name.value == ::http::header::HOST {
                findings.fault_with_help(
                    name.at,
                    "the Host header cannot be set here",
                    "use the field host, next to headers",
                );
            }
            headers.extend(value.map(|value| (name.value, value)));
        }
        HttpProbe { path: self.path, host: self.host, headers, expect: self.expect, drain: self.drain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expected_status_is_a_number_or_a_range() {
        assert_eq!(Statuses::parse("200").unwrap(), 200..=200);
        assert_eq!(Statuses::parse("200-399").unwrap(), 200..=399);
        for wrong in ["", "2xx", "99", "600", "399-200", "200-", "-200", "200-300-400"] {
            assert!(Statuses::parse(wrong).is_err(), "{wrong}");
        }
    }
}
