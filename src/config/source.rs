//! Sources: where a request contains a text, and which part of it counts.

use std::num::NonZeroUsize;

use ::http::HeaderName;
use serde_json::json;

use super::names::leaf;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::schema::read::{At, Hint, Leaf, Read, SomeOf, State, defined};
use crate::config::schema::scalar::Int;
use crate::config::schema::text::nearest;
use crate::config::schema::tree::{Node, Value};
use crate::http::cookie::CookieName;
use crate::source::{Place, Prefixes, Separator, Slice, Source};

/// One source, or a list in the order in which they are tried.
pub(super) struct Sources;

/// A source that does not combine others.
pub(super) struct Single;

/// A single source written as one word.
struct Word;

/// The kinds before the `:` of a word.
const KINDS: [&str; 5] = ["cookie", "header", "query", "path_parameter", "bearer_claim"];

record! {
    "a source" => struct SingleText {
        /// The value of this cookie.
        cookie: Option<CookieName>,
        /// The value of this header.
        header: Option<HeaderName>,
        /// The value of this query parameter. It is not percent-decoded.
        query: Option<QueryName>,
        /// The value of this path parameter (such as jsessionid in /cart;jsessionid=1a2b). It is not percent-decoded.
        path_parameter: Option<ParameterName>,
        /// This claim of the JSON Web Token in the Authorization header: a string or an integer. The token is not
        /// verified, so any client can make it up.
        bearer_claim: Option<ClaimName>,
        /// The client's address, up to a prefix length.
        client_ip: Option<PrefixesText>,
        /// Only the text after the first of these; without one the source is absent.
        after: Option<At<Separator>>,
        /// Only the text before the first of these; without one the whole text.
        before: Option<At<Separator>>,
        /// At most this many bytes.
        length: Option<At<Int<NonZeroUsize, 1, 8_192>>>,
    }
}

record! {
    "client_ip" => struct PrefixesText {
        /// How many bits of an IPv4 address count.
        ipv4: Int<u8, 1, 32> = "32",
        /// How many bits of an IPv6 address count.
        ipv6: Int<u8, 1, 128> = "128",
    }
}

record! {
    "a source of several" => struct AllText {
        /// All of these together; the source is absent if one of them is.
        all: SomeOf<Single>,
    }
}

/// The name of a parameter of the query.
#[derive(Debug)]
pub(super) struct QueryName(String);

/// The name of a path parameter.
#[derive(Debug)]
pub(super) struct ParameterName(String);

/// The name of a claim.
#[derive(Debug)]
pub(super) struct ClaimName(String);

leaf! {
    QueryName: "a query parameter's name", Text,
        |text| bare(text, "&=#?").map(Self), {"type": "string", "pattern": "^[^&=#?\\s]+$"};
    ParameterName: "a path parameter's name", Text,
        |text| bare(text, ";=/#?").map(Self), {"type": "string", "pattern": "^[^;=/#?\\s]+$"};
    ClaimName: "a claim's name", Text,
        |text: &str| if text.is_empty() { Err(Hint::unknown()) } else { Ok(Self(text.to_owned())) },
        {"type": "string", "minLength": 1};
    Separator: "a separator such as \".\", in quotes", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "minLength": 1};
}

/// A name in a URL, without the characters that would end it.
fn bare(text: &str, ends: &str) -> Result<String, Hint> {
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic() || ends.contains(c)) {
        let ends: Vec<String> = ends.chars().map(String::from).collect();
        return Err(Hint::by(format!("write it as in the URL, without spaces and {}", ends.join(" "))));
    }
    Ok(text.to_owned())
}

/// The schemas of sources, with their names in `$defs`.
pub(super) fn definitions() -> [(&'static str, serde_json::Value); 3] {
    [
        ("sources", json!({"anyOf": [Source::schema(), SomeOf::<Source>::schema()]})),
        ("source", json!({"anyOf": [Single::schema(), AllText::schema()]})),
        ("single_source", json!({"anyOf": [<Word as Leaf>::schema(), SingleText::schema()]})),
    ]
}

impl Read for Sources {
    type Value = Vec<Source>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Vec<Source>> {
        match &node.value {
            Value::List(_) => SomeOf::<Source>::read(node, findings),
            Value::Scalar(..) | Value::Map(_) | Value::Null => Source::read(node, findings).map(|one| vec![one]),
        }
    }

    fn schema() -> serde_json::Value {
        defined("sources")
    }
}

impl Read for Source {
    type Value = Self;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Map(entries) if entries.iter().any(|entry| entry.key == "all") => {
                AllText::read(node, findings).map(|text| Place::All(text.all).into())
            }
            Value::Map(_) | Value::Scalar(..) | Value::List(_) | Value::Null => Single::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        defined("source")
    }
}

impl Read for Single {
    type Value = Source;

    fn read(node: &Node, findings: &mut Findings) -> Option<Source> {
        match &node.value {
            Value::Map(_) => SingleText::build(At::<SingleText>::read(node, findings)?, findings),
            Value::Scalar(..) | Value::List(_) | Value::Null => Word::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        defined("single_source")
    }
}

impl Leaf for Word {
    type Value = Source;
    const EXPECTED: &'static str =
        "a source: client_ip, path, cookie:NAME, header:NAME, query:NAME, path_parameter:NAME or bearer_claim:NAME";

    fn parse(text: &str) -> Result<Source, Hint> {
        let place = match text.split_once(':') {
            Some((kind, name)) => named(kind, name),
            None => nameless(text),
        };
        place.map(Source::from)
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": format!("^(client_ip|path|({}):.+)$", KINDS.join("|"))})
    }
}

fn named(kind: &str, name: &str) -> Result<Place, Hint> {
    match kind {
        "cookie" => Ok(Place::Cookie(<CookieName as Leaf>::parse(name)?)),
        "header" => Ok(Place::Header(HeaderName::parse(name)?)),
        "query" => QueryName::parse(name).map(|QueryName(name)| Place::Query(name)),
        "path_parameter" => ParameterName::parse(name).map(|ParameterName(name)| Place::PathParameter(name)),
        "bearer_claim" => ClaimName::parse(name).map(|ClaimName(name)| Place::BearerClaim(name)),
        "client_ip" => Err(Hint::by("for a part of the address write {client_ip: {ipv4: 24, ipv6: 56}}")),
        "path" => Err(Hint::by("write path without a name")),
        _ => Err(nearest(kind, KINDS).map_or_else(Hint::unknown, |kind| Hint::by(format!("did you mean {kind}:{name}?")))),
    }
}

fn nameless(word: &str) -> Result<Place, Hint> {
    match word {
        "client_ip" => Ok(Place::ClientIp(Prefixes::default())),
        "path" => Ok(Place::Path),
        _ if KINDS.contains(&word) => Err(Hint::by(format!("write {word}:NAME"))),
        _ => {
            let near = nearest(word, ["client_ip", "path"]);
            Err(near.map_or_else(Hint::unknown, |near| Hint::by(format!("did you mean {near}?"))))
        }
    }
}

impl SingleText {
    fn build(written: At<Self>, findings: &mut Findings) -> Option<Source> {
        let At { at, value: written, state } = written;
        let slice_at = written.slice_at();
        let (places, slice) = written.parts();
        let mut places = places.into_iter().flatten();
        match (places.next(), places.next()) {
            (Some(place), None) => {
                if let (Place::ClientIp(_), Some(at)) = (&place, slice_at) {
                    let help = "use the prefix lengths of client_ip";
                    findings.fault_with_help(at, "after, before and length do not apply to client_ip", help);
                }
                return Some(Source { place, slice });
            }
            (Some(_), Some(_)) => {
                let help = "write a list for the first that is present, {all: […]} for all of them at once";
                findings.fault_with_help(at, "expected one source, found several", help);
            }
            (None, _) if state == State::Flawed => {}
            (None, _) => findings.fault(at, format!("expected one of {}, client_ip or all", KINDS.join(", "))),
        }
        None
    }

    /// Where the slice is written, if there is one.
    fn slice_at(&self) -> Option<Location> {
        let separators = [&self.after, &self.before].into_iter().flatten().map(|slice| slice.at);
        separators.chain(self.length.map(|slice| slice.at)).next()
    }

    fn parts(self) -> ([Option<Place>; 6], Slice) {
        let places = [
            self.cookie.map(Place::Cookie),
            self.header.map(Place::Header),
            self.query.map(|QueryName(name)| Place::Query(name)),
            self.path_parameter.map(|ParameterName(name)| Place::PathParameter(name)),
            self.bearer_claim.map(|ClaimName(name)| Place::BearerClaim(name)),
            self.client_ip.map(|PrefixesText { ipv4, ipv6 }| Place::ClientIp(Prefixes { v4: ipv4, v6: ipv6 })),
        ];
        let slice = Slice {
            after: self.after.map(|after| after.value),
            before: self.before.map(|before| before.value),
            length: self.length.map(|length| length.value),
        };
        (places, slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Source>, String> {
        let mut findings = Findings::default();
        let node = Node::parse(text, &mut findings).unwrap();
        let sources = Sources::read(&node, &mut findings);
        findings.into_result("f").map_err(|errors| errors.to_string())?;
        Ok(sources.unwrap())
    }

    fn one(text: &str) -> Source {
        let mut sources = read(text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(sources.len(), 1, "{text}");
        sources.remove(0)
    }

    fn cookie(name: &str) -> Place {
        Place::Cookie(CookieName::parse(name).unwrap())
    }

    #[test]
    fn a_source_may_be_one_word() {
        for (word, place) in [
            ("client_ip", Place::ClientIp(Prefixes { v4: 32, v6: 128 })),
            ("path", Place::Path),
            ("cookie:SID", cookie("SID")),
            ("header:X-User", Place::Header(HeaderName::from_static("x-user"))),
            ("query:sid", Place::Query("sid".to_owned())),
            ("path_parameter:jsessionid", Place::PathParameter("jsessionid".to_owned())),
            ("bearer_claim:https://example.com/tenant", Place::BearerClaim("https://example.com/tenant".to_owned())),
        ] {
            assert_eq!(one(word), place.into(), "{word}");
        }
    }

    #[test]
    fn the_long_form_slices_the_text() {
        let slice = |after: &str, before: &str, length: usize| {
            let separator = |text: &str| Separator::parse(text).ok();
            Slice { after: separator(after), before: separator(before), length: NonZeroUsize::new(length) }
        };
        for (text, place, slice) in [
            ("{cookie: SID, after: '.'}", cookie("SID"), slice(".", "", 0)),
            ("{header: X-Id, before: '~'}", Place::Header(HeaderName::from_static("x-id")), slice("", "~", 0)),
            ("{query: sid, length: 52}", Place::Query("sid".to_owned()), slice("", "", 52)),
            (
                "{path_parameter: sid, after: ., before: '~', length: 8}",
                Place::PathParameter("sid".to_owned()),
                slice(".", "~", 8),
            ),
            ("{bearer_claim: sub, before: '@'}", Place::BearerClaim("sub".to_owned()), slice("", "@", 0)),
            ("{client_ip: {ipv4: 24, ipv6: 56}}", Place::ClientIp(Prefixes { v4: 24, v6: 56 }), slice("", "", 0)),
            ("{client_ip: {ipv6: 64}}", Place::ClientIp(Prefixes { v4: 32, v6: 64 }), slice("", "", 0)),
        ] {
            assert_eq!(one(text), Source { place, slice }, "{text}");
        }
    }

    #[test]
    fn several_sources_are_a_list_or_one_composite() {
        let (sid, user): (Source, Source) = (cookie("SID").into(), Place::Query("user".to_owned()).into());
        assert_eq!(read("[cookie:SID, {query: user}]").unwrap(), [sid.clone(), user.clone()]);
        assert_eq!(one("{all: [{cookie: SID}, query:user]}"), Place::All(vec![sid, user]).into());
    }

    #[test]
    fn an_invalid_source_gets_a_correction() {
        for (text, help) in [
            ("clientip", "did you mean client_ip?"),
            ("client_ip:24", "write {client_ip: {ipv4: 24, ipv6: 56}}"),
            ("path:/a", "write path without a name"),
            ("cookie", "write cookie:NAME"),
            ("cokie:a", "did you mean cookie:a?"),
            ("bearer:a", "expected a source: client_ip, path, cookie:NAME"),
            ("cookie:a b", "' ' is not allowed in a cookie's name"),
            ("query:a&b", "without spaces and & = # ?"),
            ("'query:'", "without spaces and"),
            ("path_parameter:a/b", "without spaces and ; = / # ?"),
            ("{query: a=b}", "without spaces and"),
            ("''", "expected a source"),
            ("", ", found nothing"),
            ("[]", "expected at least one entry, found an empty list"),
            ("[[cookie:a]]", "expected a source: client_ip"),
            ("{}", "expected one of cookie, header"),
            ("{after: '.'}", "expected one of"),
            ("{cookie: a, header: b}", "write a list for the first"),
            ("{cokie: a}", "did you mean cookie?"),
            ("{cookie: a, after: ''}", "a separator must not be empty"),
            ("{cookie: a, before: ~}", "before: expected a separator such as \".\", in quotes, found nothing"),
            ("{cookie: a, length: 0}", "length: expected 1 to 8192, found 0"),
            ("{client_ip: {ipv4: 33}}", "client_ip.ipv4: expected 1 to 32, found 33"),
            ("{client_ip: {ipv6: 0}}", "1 to 128"),
            ("{client_ip: {}, length: 2}", "do not apply to client_ip"),
            ("{all: []}", "all: expected at least one entry"),
            ("{all: [{all: [path]}]}", "all[0].all: unknown field"),
            ("{all: [path], cookie: a}", "cookie: unknown field"),
        ] {
            let errors = read(text).expect_err(text);
            assert!(errors.contains(help), "{text}: {errors}");
        }
    }

    #[test]
    fn each_fault_is_reported_once_at_its_position() {
        for (text, at) in [("[path, {cokie: a}]", (1, 9)), ("{cookie: a,\n length: 0}", (2, 10)), ("{all: [{}]}", (1, 8))] {
            let mut findings = Findings::default();
            let node = Node::parse(text, &mut findings).unwrap();
            let _ = Sources::read(&node, &mut findings);
            let errors = findings.into_result("f").unwrap_err();
            let places: Vec<_> = errors.faults().iter().map(|fault| fault.at).collect();
            assert_eq!(places, [crate::config::Position { line: at.0, column: at.1 }], "{errors}");
        }
    }
}
