//! A header that carries the tie, for clients without cookies: one of Burdock's own, or the application's session header with
//! a token before its value.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::answers::AppSignal;
use super::spec::{Caching, Expose, Forwarding, HeaderMode, HeaderSpec, NewTieOn};
use crate::http::request::Request;
use crate::session::claim::Claim;
use crate::session::lifetime::Due;
use crate::session::scope::Scope;
use crate::session::server_ref::ServerRef;
use crate::session::stamps::Stamps;
use crate::sticky::answers::Writes;
use crate::sticky::edits::RequestEdits;
use crate::sticky::secrets::Secrets;
use crate::time::Now;
use crate::token::codec::{Accepted, Codec, DELIMITER, Read};
use crate::token::foreign::Carrier;
use crate::token::sealed::{Context, Kind};

#[derive(Debug)]
pub struct HeaderEntry {
    name: HeaderName,
    mode: HeaderMode,
    pub(super) codec: Codec,
    forwarding: Forwarding,
    expose: Expose,
    caching: Caching,
    new_tie_on: NewTieOn,
}

impl HeaderEntry {
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

    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn claim<'r>(&self, request: &Request<'r>, now: Now) -> Claim<'r> {
        let value = request.headers.get(&self.name).map(HeaderValue::as_bytes).filter(|value| !value.is_empty());
        match value.and_then(|value| self.read(value, now)) {
            None => Claim::Absent,
            Some(Ok((server, named))) => Claim::Names(server, named),
            Some(Err(bad)) => Claim::Bad(bad),
        }
    }

    /// What the server sees of the header.
    pub(super) fn edit(&self, headers: &HeaderMap, now: Now, edits: &mut RequestEdits) {
        let Some(value) = headers.get(&self.name) else { return };
        match (self.mode, self.forwarding) {
            (HeaderMode::Envelope, _) => {
                let inside = self.codec.inside(value.as_bytes(), now);
                let inside = inside.and_then(|inside| HeaderValue::from_bytes(&inside).ok());
                edits.set.extend(inside.map(|inside| (self.name.clone(), inside)));
            }
            (_, Forwarding::Hide) => edits.remove.push(self.name.clone()),
            (_, Forwarding::Show) => {}
        }
    }

    /// What the application says of the session in a response, where this entry rides on the application's header.
    pub(super) fn spoken(&self, headers: &HeaderMap) -> AppSignal {
        match (self.mode, headers.get(&self.name)) {
            (HeaderMode::Insert | HeaderMode::Passive, _) | (HeaderMode::Envelope, None) => AppSignal::Silent,
            (HeaderMode::Envelope, Some(value)) if value.is_empty() => AppSignal::Deletes,
            (HeaderMode::Envelope, Some(_)) => AppSignal::Creates,
        }
    }

    pub(super) fn writes(&self) -> Writes {
        match self.mode {
            HeaderMode::Insert => Writes::Always,
            HeaderMode::Envelope => Writes::WhenSpoken,
            HeaderMode::Passive => Writes::Never,
        }
    }

    /// Whether a header of this name that the server sends would be taken for ours.
    pub(super) fn owns_response_header(&self) -> bool {
        self.mode == HeaderMode::Insert
    }

    /// The header's value that carries a token to the client.
    pub(super) fn render(&self, token: &str, headers: &HeaderMap) -> Option<HeaderValue> {
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

    pub(super) fn expose(&self) -> Expose {
        self.expose
    }

    pub(super) fn caching(&self) -> Caching {
        self.caching
    }

    pub(super) fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    pub(super) fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        self.codec.renewal(stamps, now)
    }

    fn read<'v>(&self, value: &'v [u8], now: Now) -> Option<Read<'v>> {
        match self.mode {
            HeaderMode::Insert | HeaderMode::Passive => Some(self.codec.read(value, now)),
            HeaderMode::Envelope => self.codec.unwrap(value, now).map(|wrapped| wrapped.claim),
        }
    }
}
