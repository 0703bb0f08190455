//! Makes and reads the tokens of one persistence method: its own, sealed or plain, and those of the previous proxy. The method
//! knows where a token is in a request.

use std::borrow::Cow;
use std::sync::Arc;

use rand_core::CryptoRng;

use super::foreign::{AcceptSpec, Carrier, Opened, Reader};
use super::keys::KeyRing;
use super::payload::Payload;
use super::sealed::{Context, SealedFormat};
use super::{plain, sealed};
use crate::session::claim::{BadClaim, Issuer, Named, Refused, ServerName};
use crate::session::foreign_format::ForeignFormat;
use crate::session::lifetime::{Due, Lifetime};
use crate::session::name::SessionName;
use crate::session::named_secret::NamedSecret;
use crate::session::server_ref::ServerRef;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::session::token_format::TokenFormat;
use crate::time::{Now, UnixSeconds};

/// Between a token and the application's own value.
pub(crate) const DELIMITER: u8 = b'~';

/// Makes and reads the tokens of one persistence method.
#[derive(Debug)]
pub(crate) struct Codec {
    format: Format,
    lifetime: Lifetime,
    accepted: Box<[Accepted]>,
}

/// Another proxy's tokens that are still accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    reader: Reader,
    until: Option<UnixSeconds>,
}

#[derive(Debug)]
enum Format {
    Sealed(SealedFormat),
    Plain,
}

/// What a token says: its server, and what else it knows about the session.
pub(crate) type Read<'v> = Result<(ServerName<'v>, Named), Refused>;

/// A value that holds a token followed by the application's own value.
pub(crate) struct Wrapped<'v> {
    pub(crate) claim: Read<'v>,
    /// What the application sees.
    pub(crate) value: Cow<'v, [u8]>,
}

impl Codec {
    pub(crate) fn new(
        format: TokenFormat,
        lifetime: Lifetime,
        accepted: Box<[Accepted]>,
        keys: &Arc<KeyRing>,
        context: Context<'_>,
    ) -> Self {
        let format = match format {
            TokenFormat::Sealed => Format::Sealed(SealedFormat::new(Arc::clone(keys), context)),
            TokenFormat::Plain => Format::Plain,
        };
        Self { format, lifetime, accepted }
    }

    /// Makes the token for a tie.
    pub(crate) fn make(&self, tie: &Tie<'_>, random: &mut impl CryptoRng) -> String {
        match &self.format {
            Format::Plain => tie.route.to_owned(),
            Format::Sealed(format) => {
                let payload = Payload { server: tie.tag, session: tie.session, stamps: tie.stamps };
                format.seal(&payload, random).to_string()
            }
        }
    }

    /// Reads a value that is nothing but a token.
    pub(crate) fn read<'v>(&self, value: &'v [u8], now: Now) -> Read<'v> {
        match self.own(value, now) {
            Err(bad @ Refused { why: BadClaim::BadToken, .. }) => self.foreign(value, now).unwrap_or(Err(bad)),
            // A plain token may be any text, so the previous proxies' formats are tried first.
            Ok(route @ (ServerName::Route(_), _)) => self.foreign(value, now).unwrap_or(Ok(route)),
            read => read,
        }
    }

    /// Reads a value in which a token precedes the application's own value. None if there is no token.
    pub(crate) fn unwrap<'v>(&self, value: &'v [u8], now: Now) -> Option<Wrapped<'v>> {
        let own = self.own_end(value).map(|end| {
            let (token, rest) = value.split_at(end);
            Wrapped { claim: self.own(token, now), value: Cow::Borrowed(&rest[1..]) }
        });
        match (&self.format, own) {
            (Format::Sealed(_), Some(own)) => Some(own),
            // A plain token may be any text, so the previous proxies' formats are tried first.
            (Format::Plain | Format::Sealed(_), own) => self.unwrap_foreign(value, now).or(own),
        }
    }

    /// The application's own value after a token, valid or not. None if there is no token.
    pub(crate) fn inside<'v>(&self, value: &'v [u8], now: Now) -> Option<Cow<'v, [u8]>> {
        let own = self.own_end(value).map(|end| Cow::Borrowed(&value[end + 1..]));
        own.or_else(|| self.unwrap_foreign(value, now).map(|wrapped| wrapped.value))
    }

    pub(crate) fn idle(&self) -> Option<u32> {
        self.lifetime.idle
    }

    /// Whether a tie with these stamps is due for renewal.
    pub(crate) fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        self.lifetime.renewal(stamps, now.wall)
    }

    fn own<'v>(&self, value: &'v [u8], now: Now) -> Read<'v> {
        match &self.format {
            Format::Plain => {
                let route = plain::open(value).map_err(BadClaim::from)?;
                let named = Named { session: None, stamps: None, issuer: Issuer::Burdock };
                Ok((ServerName::Route(Cow::Borrowed(route)), named))
            }
            Format::Sealed(format) => {
                let Payload { server, session, stamps } = format.open(value).map_err(BadClaim::from)?;
                let session = Some(SessionName::Number(session));
                if let Err(why) = self.lifetime.check(stamps.shifted(now.skipped), now.wall) {
                    return Err(Refused { why, session });
                }
                Ok((ServerName::Tag(server), Named { session, stamps: Some(stamps), issuer: Issuer::Burdock }))
            }
        }
    }

    /// The end of one of our own tokens before a delimiter. A sealed token is recognized by its length and alphabet even if it
    /// does not open, so that the application never sees it.
    fn own_end(&self, value: &[u8]) -> Option<usize> {
        match &self.format {
            Format::Sealed(_) => sealed::looks_sealed(value.get(..sealed::CHARACTERS)?)
                .then_some(sealed::CHARACTERS)
                .filter(|&end| value.get(end) == Some(&DELIMITER)),
            Format::Plain => {
                let end = memchr::memchr(DELIMITER, value)?;
                plain::open(&value[..end]).is_ok().then_some(end)
            }
        }
    }

    fn foreign<'v>(&self, value: &'v [u8], now: Now) -> Option<Read<'v>> {
        self.accepted.iter().find_map(|accepted| self.read_accepted(accepted, value, now))
    }

    /// Reads a value that is nothing but another proxy's token. None if it is not one.
    pub(crate) fn read_accepted<'v>(&self, accepted: &Accepted, value: &'v [u8], now: Now) -> Option<Read<'v>> {
        match accepted.open(value, now) {
            Opened::Server { server, stamps, .. } => {
                Some(self.accept(accepted, ServerName::Id(server.clone()), stamps, now))
            }
            Opened::Stranger { .. } => Some(self.accept(accepted, ServerName::Stranger, None, now)),
            Opened::NotMine => None,
        }
    }

    fn unwrap_foreign<'v>(&self, value: &'v [u8], now: Now) -> Option<Wrapped<'v>> {
        self.accepted.iter().find_map(|accepted| {
            let (server, stamps, rest) = match accepted.open(value, now) {
                Opened::Server { server, stamps, rest } => (ServerName::Id(server.clone()), stamps, rest?),
                Opened::Stranger { rest } => (ServerName::Stranger, None, rest?),
                Opened::NotMine => return None,
            };
            Some(Wrapped { claim: self.accept(accepted, server, stamps, now), value: rest })
        })
    }

    /// A foreign token's dates are only as trustworthy as the proxy that wrote them: a client that changes them keeps an old
    /// session, as it could there.
    fn accept<'v>(&self, accepted: &Accepted, server: ServerName<'v>, stamps: Option<Stamps>, now: Now) -> Read<'v> {
        if let Some(stamps) = stamps {
            self.lifetime.check(stamps.shifted(now.skipped), now.wall)?;
        }
        Ok((server, Named { session: None, stamps, issuer: Issuer::Other(accepted.reader.format()) }))
    }
}

impl Accepted {
    /// `secret` is the format's key, if it has one and it could be read.
    pub(crate) fn new(spec: &AcceptSpec, carrier: Carrier, secret: Option<&NamedSecret>, servers: &[ServerRef<'_>]) -> Self {
        Self { reader: Reader::new(&spec.format, carrier, secret, servers), until: spec.until }
    }

    /// Whether such a token is part of the application's own value.
    pub(crate) fn rides_on_the_applications(&self) -> bool {
        self.reader.format() == ForeignFormat::Apache
    }

    fn open<'a, 'v>(&'a self, value: &'v [u8], now: Now) -> Opened<'a, 'v> {
        match self.until {
            Some(until) if now.wall > until => Opened::NotMine,
            Some(_) | None => self.reader.open(value),
        }
    }
}
