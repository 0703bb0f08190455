//! `accept` of an entry of `sticky`: tokens of the previous proxy.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::process::Key;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::{OrShort, Shortened, record};
use crate::config::schema::read::{At, Hint, Leaf, ListOf, Read, defined};
use crate::config::schema::tree::Node;
use crate::http::cookie::CookieName;
use crate::time::UnixSeconds;
use crate::token::foreign::{AcceptSpec, Carrier, FormatSpec, InvalidSeparator, Separator};

/// The value of `accept`.
pub(super) struct AcceptedTokens;

type Tokens = ListOf<At<OrShort<AcceptText>>>;

impl Read for AcceptedTokens {
    type Value = Vec<At<AcceptText>>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        Tokens::read(node, findings)
    }

    fn schema() -> serde_json::Value {
        defined(TOKENS)
    }
}

const TOKENS: &str = "accepted_tokens";

/// The schema of `accept`, which several kinds of entries have, and its name in `$defs`.
pub(super) fn definition() -> (&'static str, serde_json::Value) {
    (TOKENS, Tokens::schema())
}

record! {
    "an accepted token" => struct AcceptText {
        /// The proxy that issued the tokens.
        format: At<FormatSpec>,
        /// The previous proxy's cookie, if its name differs from the entry's.
        cookie: Option<At<CookieName>>,
        /// The last day (UTC) or moment at which they are accepted; forever by default.
        until: Option<Until>,
    }
}

choice! {
    "a proxy whose tokens are accepted" => FormatSpec {
        /// sticky cookie: MD5 of the server's address, or its route.
        nginx => Self::Nginx,
        /// session_sticky: the server's address, as MD5 or plain, with or without a date, also as a prefix.
        tengine => Self::Tengine,
        /// cookie: the server's route, with or without a date, also as a prefix.
        haproxy(HaproxyText = "{}") => |written: HaproxyText| Self::Haproxy { dynamic_cookie_key: written.dynamic_cookie_key },
        /// stickysession: the application's session id, followed by the server's route.
        apache(ApacheText = "{}") => |written: ApacheText| Self::Apache { separator: written.separator },
        /// stateful_session: the server's address in base64, in a cookie, a header or an envelope.
        envoy => Self::Envoy,
        /// sticky.cookie: a hash of the server's URL.
        traefik => Self::Traefik,
        /// lb_policy cookie: HMAC of the server's address.
        caddy(CaddyText = "{}") => |written: CaddyText| Self::Caddy { secret: written.secret },
        /// affinity-mode persistent: MD5 of backend and endpoint.
        ingress_nginx(IngressNginxText) => |written: IngressNginxText| Self::IngressNginx { backend: written.backend },
    }
}

record! {
    "haproxy" => struct HaproxyText {
        /// Where to find the text of dynamic-cookie-key, if the cookie is dynamic.
        dynamic_cookie_key: Option<Key>,
    }
}

record! {
    "apache" => struct ApacheText {
        /// The character between session id and route (stickysessionsep).
        separator: Separator = "\".\"",
    }
}

record! {
    "caddy" => struct CaddyText {
        /// Where to find the secret of lb_policy cookie; none by default.
        secret: Option<Key>,
    }
}

record! {
    "ingress_nginx" => struct IngressNginxText {
        /// The controller's name for the backend: NAMESPACE-SERVICE-PORT.
        backend: BackendName,
    }
}

/// The short form: a format without further settings.
pub(crate) enum FormatWord {
    Nginx,
    Tengine,
    Haproxy,
    Apache,
    Envoy,
    Traefik,
    Caddy,
}

choice! {
    "a proxy whose tokens are accepted" => FormatWord {
        nginx => Self::Nginx,
        tengine => Self::Tengine,
        haproxy => Self::Haproxy,
        apache => Self::Apache,
        envoy => Self::Envoy,
        traefik => Self::Traefik,
        caddy => Self::Caddy,
    }
}

impl Shortened for AcceptText {
    type Short = FormatWord;

    fn expand(short: &Node, _findings: &mut Findings) -> Option<Node> {
        Some(Node::map("format", short.clone()))
    }
}

impl Leaf for Separator {
    type Value = Self;
    const EXPECTED: &'static str = "a separator such as \".\" or \"!\"";

    fn parse(text: &str) -> Result<Self, Hint> {
        Self::parse(text).map_err(|error: InvalidSeparator| Hint::by(error.to_string()))
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[^A-Za-z0-9\\s\",;\\\\]$"})
    }
}

/// The ingress controller's name for a backend.
pub(super) struct BackendName;

impl Leaf for BackendName {
    type Value = String;
    const EXPECTED: &'static str = "a backend's name such as default-http-svc-80";

    fn parse(text: &str) -> Result<String, Hint> {
        let name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if name { Ok(text.to_owned()) } else { Err(Hint::by("write NAMESPACE-SERVICE-PORT, as the controller lists it")) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[!-~]+$", "examples": ["default-http-svc-80"]})
    }
}

/// A day or a moment, as the last second that counts: for a day its last.
pub(super) struct Until;

impl Leaf for Until {
    type Value = UnixSeconds;
    const EXPECTED: &'static str = "a day such as 2027-01-31 or a moment such as 2027-01-31T18:00:00Z";

    fn parse(text: &str) -> Result<UnixSeconds, Hint> {
        // jiff parses a moment without an offset as a day, so the two are distinguished here.
        let second = if text.len() == "2027-01-31".len() {
            end_of_day(text).map_err(|_| Hint::unknown())?
        } else {
            text.parse::<Timestamp>().map_err(|_| moment_hint(text))?.as_second()
        };
        u32::try_from(second).map(UnixSeconds).map_err(|_| Hint::by("use a date from 1970 to 2105"))
    }

    fn schema() -> serde_json::Value {
        json!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+))?$",
            "examples": ["2027-01-31", "2027-01-31T18:00:00Z"],
        })
    }
}

fn moment_hint(text: &str) -> Hint {
    if text.contains('T') { Hint::by("add the offset from UTC, such as Z or +02:00") } else { Hint::unknown() }
}

fn end_of_day(text: &str) -> Result<i64, jiff::Error> {
    let day: Date = text.parse()?;
    Ok(day.checked_add(1.day())?.to_zoned_datetime(TimeZone::UTC)?.timestamp().as_second() - 1)
}

/// The tokens that an entry with this `carrier` accepts.
pub(super) fn build(written: Vec<At<AcceptText>>, carrier: Carrier, findings: &mut Findings) -> Vec<AcceptSpec> {
    written.into_iter().map(|written| one(written.value, carrier, findings)).collect()
}

fn one(written: AcceptText, carrier: Carrier, findings: &mut Findings) -> AcceptSpec {
    let AcceptText { format: At { at, value: format, .. }, cookie, until } = written;
    if !format.suits(carrier) {
        findings.fault(at, format!("{} never puts a token into {}", format.format().as_str(), called(carrier)));
    }
    if let (Some(cookie), Carrier::Header | Carrier::Envelope) = (&cookie, carrier) {
        findings.fault_with_help(cookie.at, "a header entry cannot read a cookie", "use a cookie entry");
    }
    AcceptSpec { format, name: cookie.map(|cookie| cookie.value), until }
}

fn called(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Cookie => "a cookie of its own",
        Carrier::PrefixedCookie => "an application's cookie (mode: prefix)",
        Carrier::Header => "a header of its own",
        Carrier::Envelope => "an application's header (mode: envelope)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::errors::Location;
    use crate::config::schema::map::OrShort;
    use crate::config::schema::read::{ListOf, Read};
    use crate::session::named_secret::SecretSource;

    fn read(text: &str, carrier: Carrier) -> Result<Vec<AcceptSpec>, String> {
        let mut findings = Findings::default();
        let node = Node::literal(text, Location::default());
        let written = ListOf::<At<OrShort<AcceptText>>>::read(&node, &mut findings).unwrap();
        let specs = build(written, carrier, &mut findings);
        findings.into_result("b.yaml").map(|_| specs).map_err(|errors| errors.to_string())
    }

    fn plain(format: FormatSpec) -> AcceptSpec {
        AcceptSpec { format, name: None, until: None }
    }

    #[test]
    fn a_format_without_settings_is_a_word() {
        let specs = read("[nginx, tengine, haproxy, apache, envoy, traefik, caddy]", Carrier::Cookie).unwrap();
        assert_eq!(
            specs,
            [
                FormatSpec::Nginx,
                FormatSpec::Tengine,
                FormatSpec::Haproxy { dynamic_cookie_key: None },
                FormatSpec::Apache { separator: Separator::default() },
                FormatSpec::Envoy,
                FormatSpec::Traefik,
                FormatSpec::Caddy { secret: None },
            ]
            .map(plain)
        );
    }

    #[test]
    fn a_format_may_need_a_secret_or_a_name() {
        let text = "[{format: {haproxy: {dynamic_cookie_key: {file: /k}}}, cookie: SRV}, {format: {caddy: {secret: {env: K}}}}, \
                    {format: {ingress_nginx: {backend: default-http-svc-80}}}, {format: {apache: {separator: \"!\"}}}]";
        let key = SecretSource::File("/k".into());
        let haproxy = AcceptSpec {
            name: Some(CookieName::parse("SRV").unwrap()),
            ..plain(FormatSpec::Haproxy { dynamic_cookie_key: Some(key) })
        };
        let caddy = FormatSpec::Caddy { secret: Some(SecretSource::Env("K".to_owned())) };
        let ingress = FormatSpec::IngressNginx { backend: "default-http-svc-80".to_owned() };
        let apache = FormatSpec::Apache { separator: Separator::parse("!").unwrap() };
        assert_eq!(read(text, Carrier::Cookie).unwrap(), [haproxy, plain(caddy), plain(ingress), plain(apache)]);
    }

    #[test]
    fn a_day_counts_up_to_its_last_second() {
        assert_eq!(Until::parse("2027-01-31").unwrap(), UnixSeconds(1_801_439_999));
        assert_eq!(Until::parse("2027-01-31T18:00:00Z").unwrap(), UnixSeconds(1_801_418_400));
        assert_eq!(Until::parse("2027-01-31T18:00:00+02:00").unwrap(), UnixSeconds(1_801_411_200));
        for wrong in
            ["", "2027-02-30", "2027-1-31", "31.01.2027", "tomorrow", "2027-01-31T18:00:00", "1969-12-31", "9999-12-31"]
        {
            assert!(Until::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_format_that_does_not_suit_the_carrier_is_refused() {
        for (text, carrier, message) in [
            ("[nginx]", Carrier::PrefixedCookie, "nginx never puts a token into an application's cookie (mode: prefix)"),
            ("[haproxy]", Carrier::Header, "haproxy never puts a token into a header of its own"),
            ("[caddy]", Carrier::Envelope, "caddy never puts a token into an application's header (mode: envelope)"),
            ("[{format: envoy, cookie: a}]", Carrier::Header, "a header entry cannot read a cookie"),
        ] {
            let errors = read(text, carrier).unwrap_err();
            assert!(errors.contains(message), "{errors}");
        }
        assert_eq!(read("[envoy]", Carrier::Header).unwrap(), [plain(FormatSpec::Envoy)]);
        assert_eq!(read("[haproxy]", Carrier::PrefixedCookie).unwrap().len(), 1);
    }

    #[test]
    fn an_inline_secret_is_refused_and_not_repeated() {
        let errors = read("[{format: {caddy: {secret: hunter2}}}]", Carrier::Cookie).unwrap_err();
        assert!(errors.contains("never from the configuration") && !errors.contains("hunter2"), "{errors}");
    }

    #[test]
    fn missing_fields_are_reported() {
        let errors = read("[ingress_nginx, {cookie: a}, {format: {ingress_nginx: {}}}]", Carrier::Cookie).unwrap_err();
        for message in ["found \"ingress_nginx\"", "format: missing field", "backend: missing field"] {
            assert!(errors.contains(message), "{errors}");
        }
    }
}
