//! `header` entries of `sticky`.

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
        /// Who makes the header.
        mode: HeaderMode = "insert",
        /// Longest time between two requests of a session. Enforced here, whatever the client keeps.
        idle_timeout: OrNone<At<Seconds>> = "none",
        /// Longest time since a session was first tied. Enforced here, whatever the client keeps.
        max_life: OrNone<At<Seconds>> = "none",
        /// What the header's value is.
        token: TokenFormat = "sealed",
        /// Which responses of a server may tie a new session.
        new_tie_on: NewTieOn = "below_500",
        /// Whether the server does not see the header; auto is true for mode insert, else false.
        hide: OrAuto<Bool> = "auto",
        /// Whether scripts of a page from another origin may read it (Access-Control-Expose-Headers).
        expose: Bool = "true",
        /// What shared caches are told of a response that carries the header.
        cache_control: Caching = "private",
        /// What happens to a session whose server cannot serve it, whatever failover says.
        strict: Strict = "false",
        /// Tokens of the proxy that was here before.
        accept: AcceptedTokens = "[]",
    }
}

choice! {
    "a header's mode" => HeaderMode {
        /// Burdock adds a header of its own to the response that ties; the client sends it back.
        insert => Self::Insert,
        /// The application's session header; the token goes before its value and is taken off again in requests.
        envelope => Self::Envelope,
        /// The header is read and never written.
        passive => Self::Passive,
    }
}

/// `mcp`: sessions of the Model Context Protocol, whose clients start over on a 404.
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
        let times = Times { idle: written.idle_timeout, life: written.max_life, age: None };
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

/// Headers by which messages are framed or that others of our entries use.
const TAKEN: [&str; 12] = [
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
    if TAKEN.contains(&name.as_str()) {
        findings.fault(at, format!("the header {name} has a meaning of its own and cannot carry a session"));
    }
    if mode == HeaderMode::Envelope && hide.is_some() {
        let message = format!("hide has no effect in mode envelope: the server always sees its own value of {name}");
        findings.fault_with_help(at, message, "remove it");
    }
}
