//! `header` and `mcp` entries of `sticky`: their grammar and the rules between their fields.

use ::http::HeaderName;

use crate::config::accept::{self, AcceptedTokens};
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::schema::read::{At, Read};
use crate::config::schema::scalar::{Bool, OrAuto, OrNone};
use crate::config::schema::tree::Node;
use crate::config::schema::units::Seconds;
use crate::session::scope::Scope;
use crate::session::token_format::TokenFormat;
use crate::sticky::entry::EntrySpec;
use crate::sticky::header::{HeaderMode, HeaderSpec};
use crate::sticky::method::MethodSpec;
use crate::sticky::spec::{Caching, Expose, Forwarding, NewTieOn, Strict};
use crate::token::foreign::Carrier;

use super::lifetime::{self, Times};
use super::method_text::MethodText;

record! {
    "a sticky header" => struct HeaderText {
        /// The header's name, in requests and responses.
        name: At<HeaderName>,
        /// Who sets the header, and what Burdock does with it.
        mode: HeaderMode = "insert",
        /// Longest time between two requests of a session. Burdock enforces it, even if the client keeps the token longer.
        idle_timeout: OrNone<At<Seconds>> = "none",
        /// Longest time since a session was first tied. Burdock enforces it, even if the client keeps the token longer.
        max_life: OrNone<At<Seconds>> = "none",
        /// The format of the token in the header.
        token: TokenFormat = "sealed",
        /// Which responses of a server may tie a new session.
        new_tie_on: NewTieOn = "below_500",
        /// Whether the header is hidden from the server. With auto, it is hidden in mode insert only.
        hide: OrAuto<Bool> = "auto",
        /// Whether scripts of pages from other origins may read the header (Access-Control-Expose-Headers).
        expose: Bool = "true",
        /// Cache-Control of a response that carries the header.
        cache_control: Caching = "private",
        /// Whether a session whose server cannot serve it is refused, with 503 or this status, regardless of failover.
        strict: Strict = "false",
        /// Tokens of the previous proxy to accept.
        accept: AcceptedTokens = "[]",
    }
}

choice! {
    "a header's mode" => HeaderMode {
        /// Burdock adds a header of its own to the response that ties the session; the client sends it back.
        insert => Self::Insert,
        /// The application sets the header; the token precedes its value and is removed from requests.
        envelope => Self::Envelope,
        /// Burdock only reads the header.
        passive => Self::Passive,
    }
}

/// `mcp`: sessions of the Model Context Protocol. Its clients start a new session after a 404.
#[derive(Debug)]
pub(super) struct McpText;

impl MethodText for McpText {
    fn build(self: Box<Self>, scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        let header = Node::literal("{name: Mcp-Session-Id, mode: envelope, strict: 404}", at);
        Box::new(HeaderText::read(&header, findings)?).build(scope, at, findings)
    }
}

impl MethodText for HeaderText {
    fn build(self: Box<Self>, _scope: &Scope, _at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        let written = *self;
        let (at, mode) = (written.name.at, written.mode);
        let times = Times::without_age(written.idle_timeout, written.max_life);
        let (carrier, renewal) = match mode {
            HeaderMode::Envelope => (Carrier::Envelope, lifetime::Renewal::WhenNamed),
            HeaderMode::Insert | HeaderMode::Passive => (Carrier::Header, lifetime::Renewal::Any),
        };
        lifetime::check(&times, written.token, renewal, findings);
        check(&written.name.value, mode, written.hide, at, findings);
        let spec = HeaderSpec {
            name: written.name.value,
            mode,
            token: written.token,
            lifetime: times.lifetime(),
            new_tie_on: written.new_tie_on,
            forwarding: match written.hide {
                Some(true) => Forwarding::Hide,
                None if mode == HeaderMode::Insert => Forwarding::Hide,
                Some(false) | None => Forwarding::Show,
            },
            expose: if written.expose { Expose::On } else { Expose::Off },
            caching: written.cache_control,
            accept: accept::build(written.accept, carrier, findings),
        };
        Some((EntrySpec { method: MethodSpec::Header(spec), strict: written.strict }, at))
    }
}

/// Headers that frame messages, or that Burdock uses otherwise.
const RESERVED: [&str; 12] = [
    "authorization",
    "burdock-affinity",
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check(name: &HeaderName, mode: HeaderMode, hide: Option<bool>, at: Location, findings: &mut Findings) {
    if RESERVED.contains(&name.as_str()) {
        findings.fault(at, format!("the header {name} has a meaning of its own and cannot carry a session"));
    }
    if mode == HeaderMode::Envelope && hide.is_some() {
        let message = format!("hide has no effect in mode envelope: the server always sees its own value of {name}");
        findings.fault_with_help(at, message, "remove it");
    }
}
