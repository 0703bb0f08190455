//! `header` entries, for clients without cookies: the tie is in a header, either one that Burdock adds or the application's
//! session header with a token before its value. It does not know which servers are up.

use std::fmt;

use ::http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use rand_core::CryptoRng;

use super::answers::{AppSignal, Medium, Writes};
use super::edits::{Carried, Origin, Reader};
use super::incoming::IncomingRequest;
use super::persistence::{Persistence, PersistenceSpec};
use super::secrets::Secrets;
use super::spec::{Caching, Expose, Forwarding, NewTieOn};
use crate::http::edits::Edits;
use crate::http::expose;
use crate::session::claim::Claim;
use crate::session::lifetime::{Due, Lifetime};
use crate::session::scope::Scope;
use crate::session::server_ref::ServerRef;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::session::token_format::TokenFormat;
use crate::time::Now;
use crate::token::codec::{Accepted, Codec, DELIMITER, Read};
use crate::token::foreign::{AcceptSpec, Carrier};
use crate::token::sealed::{Context, Kind};

/// A header entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderSpec {
    pub name: HeaderName,
    pub mode: HeaderMode,
    pub token: TokenFormat,
    pub lifetime: Lifetime,
    pub new_tie_on: NewTieOn,
    pub forwarding: Forwarding,
    pub expose: Expose,
    pub caching: Caching,
    pub accept: Vec<AcceptSpec>,
}

/// Who sets the header, and what Burdock does with it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum HeaderMode {
    /// Burdock adds a header of its own to the response; the client sends it back.
    #[default]
    Insert,
    /// The application's session header; the token precedes its value and is removed from requests.
    Envelope,
    /// Only read, never written.
    Passive,
}

/// A header entry in use.
#[derive(Debug)]
pub struct HeaderMethod {
    name: HeaderName,
    mode: HeaderMode,
    codec: Codec,
    forwarding: Forwarding,
    expose: Expose,
    caching: Caching,
    new_tie_on: NewTieOn,
}

impl PersistenceSpec for HeaderSpec {
    fn accepts(&self) -> &[AcceptSpec] {
        &self.accept
    }

    fn carrier(&self) -> Option<String> {
        Some(format!("header {}", self.name))
    }

    fn is_plain_prefix(&self) -> bool {
        self.mode == HeaderMode::Envelope && self.token == TokenFormat::Plain
    }

    fn seals(&self) -> bool {
        self.token == TokenFormat::Sealed
    }

    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)> {
        // Destructured so that no new field is forgotten.
        let Self { name, mode, token, lifetime, new_tie_on, forwarding, expose, caching, accept } = self;
        let mut fields = vec![("name", *name == other.name), ("mode", *mode == other.mode)];
        fields.extend(lifetime.compare(other.lifetime));
        fields.extend([
            ("token", *token == other.token),
            ("new_tie_on", *new_tie_on == other.new_tie_on),
            ("hide", *forwarding == other.forwarding),
            ("expose", *expose == other.expose),
            ("cache_control", *caching == other.caching),
            ("accept", *accept == other.accept),
        ]);
        fields
    }

    fn reads_alike(&self, other: &Self) -> bool {
        (&self.name, self.mode, self.token) == (&other.name, other.mode, other.token)
    }
}

impl Persistence for HeaderMethod {
    const LABEL: &'static str = "header";

    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r> {
        let value = incoming.request.headers.get(&self.name).map(HeaderValue::as_bytes).filter(|value| !value.is_empty());
        match value.and_then(|value| self.read(value, incoming.now)) {
            None => Claim::Absent,
            Some(Ok((server, named))) => Claim::Names(server, named),
            Some(Err(bad)) => Claim::Bad(bad),
        }
    }

    fn edit_request(&self, headers: &HeaderMap, now: Now, edits: &mut Edits) {
        let value = headers.get(&self.name).filter(|_| !edits.removes(&self.name));
        let Some(value) = value else { return };
        match (self.mode, self.forwarding) {
            (HeaderMode::Envelope, _) => {
                let inside = self.codec.inside(value.as_bytes(), now);
                if let Some(inside) = inside.and_then(|inside| HeaderValue::from_bytes(&inside).ok()) {
                    edits.set(self.name.clone(), inside);
                }
            }
            (_, Forwarding::Hide) => edits.remove(self.name.clone()),
            (_, Forwarding::Show) => {}
        }
    }

    fn writes(&self) -> Writes {
        match self.mode {
            HeaderMode::Insert => Writes::Always,
            HeaderMode::Envelope => Writes::WhenNamed,
            HeaderMode::Passive => Writes::Never,
        }
    }

    fn medium(&self) -> Option<Medium> {
        Some(Medium::Header)
    }

    fn token(&self, tie: &Tie<'_>, random: &mut impl CryptoRng) -> Option<String> {
        Some(self.codec.make(tie, random))
    }

    fn edit_response(&self, headers: &HeaderMap, carried: Option<&Carried>, reader: &Reader<'_>, edits: &mut Edits) {
        let value = match carried {
            Some(Carried::Token(token)) => self.render(token, headers),
            Some(Carried::Deletion) if self.owns_response_header() => Some(HeaderValue::from_static("")),
            Some(Carried::Deletion) | None => None,
        };
        let Some(value) = value else {
            if self.owns_response_header() && headers.contains_key(&self.name) {
                edits.remove(self.name.clone());
            }
            return;
        };
        edits.set(self.name.clone(), value);
        if self.expose == Expose::On
            && reader.origin == Origin::Other
            && let Some(exposed) = expose::expose(headers, &self.name)
        {
            edits.set(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    /// The headers that scripts may read depend on the origin.
    fn reads_origin(&self) -> bool {
        true
    }

    /// What the response does with the session, if the entry uses the application's header.
    fn signal(&self, headers: &HeaderMap, _now: Now) -> AppSignal {
        match (self.mode, headers.get(&self.name)) {
            (HeaderMode::Insert | HeaderMode::Passive, _) | (HeaderMode::Envelope, None) => AppSignal::Silent,
            (HeaderMode::Envelope, Some(value)) if value.is_empty() => AppSignal::Deletes,
            (HeaderMode::Envelope, Some(_)) => AppSignal::Creates,
        }
    }

    fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        self.codec.renewal(stamps, now)
    }

    fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    fn caching(&self) -> Caching {
        self.caching
    }

    fn token_idle(&self) -> Option<u32> {
        self.codec.idle()
    }
}

impl fmt::Display for HeaderMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header {}", self.name)
    }
}

impl HeaderMethod {
    pub(super) fn new(spec: HeaderSpec, scope: &Scope, secrets: &Secrets, servers: &[ServerRef<'_>]) -> Self {
        let (kind, carrier) = match spec.mode {
            HeaderMode::Envelope => (Kind::Envelope, Carrier::Envelope),
            HeaderMode::Insert | HeaderMode::Passive => (Kind::Header, Carrier::Header),
        };
        let accepted = spec
            .accept
            .iter()
            .map(|accept| Accepted::new(accept, carrier, secrets.of_format(&accept.format), servers))
            .collect();
        let context = Context { kind, scope: &scope.0, entry: spec.name.as_str() };
        Self {
            codec: Codec::new(spec.token, spec.lifetime, accepted, &secrets.ring, context),
            mode: spec.mode,
            forwarding: spec.forwarding,
            expose: spec.expose,
            caching: spec.caching,
            new_tie_on: spec.new_tie_on,
            name: spec.name,
        }
    }

    /// Whether the client would mistake a header of this name that the server sends for ours.
    fn owns_response_header(&self) -> bool {
        self.mode == HeaderMode::Insert
    }

    /// The value that carries a token to the client.
    fn render(&self, token: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        match self.mode {
            HeaderMode::Insert | HeaderMode::Passive => HeaderValue::from_str(token).ok(),
            HeaderMode::Envelope => {
                let inside = headers.get(&self.name)?;
                let mut value = token.as_bytes().to_vec();
                value.push(DELIMITER);
                value.extend_from_slice(inside.as_bytes());
                HeaderValue::try_from(value).ok()
            }
        }
    }

    fn read<'v>(&self, value: &'v [u8], now: Now) -> Option<Read<'v>> {
        match self.mode {
            HeaderMode::Insert | HeaderMode::Passive => Some(self.codec.read(value, now)),
            HeaderMode::Envelope => self.codec.unwrap(value, now).map(|wrapped| wrapped.claim),
        }
    }
}
