//! Where a response names a session, and which part of the text counts.

use ::http::HeaderName;
use serde_json::json;

use super::names::leaf;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{At, Hint, Leaf, Read, SomeOf, defined};
use crate::config::schema::scalar::Int;
use crate::config::schema::text::nearest;
use crate::config::schema::tree::{Node, Value};
use crate::http::cookie::CookieName;
use crate::source::{ResponsePlace, ResponseSource, Separator, Slice};
use crate::table::TableName;
use std::num::NonZeroUsize;

/// One source of responses, or a list of them.
pub(super) struct ResponseSources;

/// A source written as one word.
struct Word;

record! {
    "a source of responses" => struct SourceText {
        /// The value of this cookie in Set-Cookie.
        set_cookie: Option<CookieName>,
        /// The value of this header of the response.
        response_header: Option<HeaderName>,
        /// Only the text after the first of these; without one the source is absent.
        after: Option<Separator>,
        /// Only the text before the first of these; without one the whole text.
        before: Option<Separator>,
        /// At most this many bytes.
        length: Option<Int<NonZeroUsize, 1, 8_192>>,
    }
}

leaf! {
    TableName: "a table's name", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$"};
}

/// The schemas of sources of responses, with their names in `$defs`.
pub(super) fn definitions() -> [(&'static str, serde_json::Value); 2] {
    [
        ("response_sources", json!({"anyOf": [ResponseSource::schema(), SomeOf::<ResponseSource>::schema()]})),
        ("response_source", json!({"anyOf": [<Word as Leaf>::schema(), SourceText::schema()]})),
    ]
}

impl Read for ResponseSources {
    type Value = Vec<ResponseSource>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        match &node.value {
            Value::List(_) => SomeOf::<ResponseSource>::read(node, findings),
            Value::Scalar(..) | Value::Map(_) | Value::Null => {
                <ResponseSource as Read>::read(node, findings).map(|one| vec![one])
            }
        }
    }

    fn schema() -> serde_json::Value {
        defined("response_sources")
    }
}

impl Read for ResponseSource {
    type Value = Self;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Map(_) => build(At::<SourceText>::read(node, findings)?, findings),
            Value::Scalar(..) | Value::List(_) | Value::Null => Word::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        defined("response_source")
    }
}

fn build(written: At<SourceText>, findings: &mut Findings) -> Option<ResponseSource> {
    let At { at, value, .. } = written;
    let place = match (value.set_cookie, value.response_header) {
        (Some(name), None) => ResponsePlace::SetCookie(name),
        (None, Some(name)) => ResponsePlace::Header(name),
        (None, None) | (Some(_), Some(_)) => {
            findings.fault(at, "expected one of set_cookie and response_header");
            return None;
        }
    };
    Some(ResponseSource { place, slice: Slice { after: value.after, before: value.before, length: value.length } })
}

impl Leaf for Word {
    type Value = ResponseSource;
    const EXPECTED: &'static str = "a source of responses: set_cookie:NAME or response_header:NAME";

    fn parse(text: &str) -> Result<ResponseSource, Hint> {
        const KINDS: [&str; 2] = ["set_cookie", "response_header"];
        let place = match text.split_once(':') {
            Some(("set_cookie", name)) => ResponsePlace::SetCookie(CookieName::parse(name)?),
            Some(("response_header", name)) => ResponsePlace::Header(HeaderName::from_bytes(name.as_bytes())?),
            Some((kind, name)) => {
                return Err(
                    nearest(kind, KINDS).map_or_else(Hint::unknown, |kind| Hint::by(format!("did you mean {kind}:{name}?")))
                );
            }
            None if KINDS.contains(&text) => return Err(Hint::by(format!("write {text}:NAME"))),
            None => return Err(Hint::unknown()),
        };
        Ok(ResponseSource { place, slice: Slice::default() })
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^(set_cookie|response_header):.+$"})
    }
}
