//! A cookie that Burdock writes and reads back (`mode: insert`).

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue};
use rand_core::CryptoRng;

use crate::http::cookie::{CookieName, values};
use crate::http::request::Scheme;
use crate::http::set_cookie::SetCookie;
use crate::time::Now;

use super::claim::{BadClaim, Claim, Named, ServerName};
use super::spec::{CookieSpec, Lifetime, NewTieOn, Scope, TokenFormat};
use super::token::keys::KeyRing;
use super::token::sealed::{Context, SealedFormat};
use super::token::{Kind, Payload, Stamps, Unopened, plain};
use super::{Due, Tie};

/// So many cookies of our name are tried. A browser sends more than one when they were set for different paths or domains.
const TRIED: usize = 4;

#[derive(Debug)]
pub struct CookieEntry {
    name: CookieName,
    set_cookie: SetCookie,
    format: Format,
    lifetime: Lifetime,
    new_tie_on: NewTieOn,
}

#[derive(Debug)]
enum Format {
    Sealed(SealedFormat),
    Plain,
}

impl CookieEntry {
    pub(super) fn new(spec: CookieSpec, scope: &Scope, keys: &Arc<KeyRing>) -> Self {
        let context = Context { kind: Kind::Cookie, scope: &scope.0, entry: spec.name.as_str() };
        let format = match spec.token {
            TokenFormat::Sealed => Format::Sealed(SealedFormat::new(Arc::clone(keys), context)),
            TokenFormat::Plain => Format::Plain,
        };
        let set_cookie = SetCookie::new(spec.name.clone(), &spec.attributes);
        Self { name: spec.name, set_cookie, format, lifetime: spec.lifetime, new_tie_on: spec.new_tie_on }
    }

    pub fn name(&self) -> &CookieName {
        &self.name
    }

    pub(super) fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    /// The first cookie of our name that is good; if none is, what is wrong with the first.
    pub(super) fn claim(&self, headers: &HeaderMap, now: Now) -> Claim {
        let mut worst = None;
        for value in values(headers, &self.name).take(TRIED) {
            match self.read(value, now) {
                Ok(named) => return Claim::Names(named),
                Err(bad) => worst = worst.or(Some(bad)),
            }
        }
        worst.map_or(Claim::Absent, Claim::Bad)
    }

    pub(super) fn write(&self, tie: &Tie<'_>, scheme: Scheme, random: &mut impl CryptoRng) -> Option<HeaderValue> {
        match &self.format {
            Format::Plain => self.set_cookie.render(tie.server.as_str(), scheme),
            Format::Sealed(format) => {
                let payload = Payload { server: tie.tag, session: tie.session, stamps: tie.stamps };
                self.set_cookie.render(&format.seal(&payload, random), scheme)
            }
        }
    }

    pub(super) fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        self.lifetime.renewal(stamps, now.wall)
    }

    fn read(&self, value: &[u8], now: Now) -> Result<Named, BadClaim> {
        match &self.format {
            Format::Plain => {
                let server = plain::open(value).map_err(BadClaim::from)?;
                Ok(Named { server: ServerName::Id(server), session: None, stamps: None })
            }
            Format::Sealed(format) => {
                let Payload { server, session, stamps } = format.open(value).map_err(BadClaim::from)?;
                self.lifetime.check(stamps, now.wall)?;
                Ok(Named { server: ServerName::Tag(server), session: Some(session), stamps: Some(stamps) })
            }
        }
    }
}

impl From<Unopened> for BadClaim {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::BadToken => Self::BadToken,
            Unopened::UnknownKey => Self::UnknownKey,
        }
    }
}
