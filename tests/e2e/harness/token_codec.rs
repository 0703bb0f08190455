//! Seals and opens tokens with a key that Burdock also has, so that tests can create tokens of any age and read the tokens that
//! Burdock issues.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use burdock::ids::ServerId;
use burdock::session::number::SessionNumber;
use burdock::session::server_tag::ServerTag;
use burdock::session::stamps::Stamps;
use burdock::time::UnixSeconds;
use burdock::token::keys::{Key, KeyRing};
use burdock::token::open_error::OpenError;
use burdock::token::payload::Payload;
use burdock::token::sealed::{Context, Kind, SealedFormat};

use super::Site;

/// The tokens of one cookie, named `BURDOCK_<scope>` by default, sealed with one key.
pub struct TokenCodec {
    format: SealedFormat,
    scope: String,
}

impl TokenCodec {
    /// A codec with a new key, which is written to this file of the site.
    pub fn new(site: &Site, file: &str, scope: &str) -> Self {
        let key = Key::generate(&mut rand::rng());
        site.write(file, &key.to_text());
        Self::with(key, scope)
    }

    /// A codec with the key in this text.
    pub fn with_key(text: &str, scope: &str) -> Self {
        Self::with(Key::parse(text).unwrap(), scope)
    }

    /// A codec for a cookie with this name, with the key in this text.
    pub fn for_cookie(text: &str, scope: &str, name: &str) -> Self {
        Self::of(Key::parse(text).unwrap(), scope, name)
    }

    fn with(key: Key, scope: &str) -> Self {
        Self::of(key, scope, &format!("BURDOCK_{scope}"))
    }

    fn of(key: Key, scope: &str, entry: &str) -> Self {
        let context = Context { kind: Kind::Cookie, scope, entry };
        Self { format: SealedFormat::new(Arc::new(KeyRing::new(vec![key]).unwrap()), context), scope: scope.to_owned() }
    }

    /// A token of a session that began `began` seconds ago and was last seen `seen` seconds ago.
    pub fn token(&self, server: &str, began: u32, seen: u32) -> String {
        self.token_of(SessionNumber(0x00b0_0dda), server, began, seen)
    }

    /// A token of a random session, a few seconds old.
    pub fn random_token(&self, server: &str) -> String {
        self.token_of(SessionNumber::random(&mut rand::rng()), server, 10, 10)
    }

    /// A token of a random session, last seen hours ago.
    pub fn old_token(&self, server: &str) -> String {
        self.token_of(SessionNumber::random(&mut rand::rng()), server, 20_000, 10_000)
    }

    fn token_of(&self, session: SessionNumber, server: &str, began: u32, seen: u32) -> String {
        let stamps = Stamps { issued: UnixSeconds(now().wrapping_sub(began)), seen: UnixSeconds(now().wrapping_sub(seen)) };
        let payload = Payload { server: self.tag(server), session, stamps };
        self.format.seal(&payload, &mut rand::rng()).to_string()
    }

    pub fn open(&self, token: &str) -> Result<Payload, OpenError> {
        self.format.open(token.as_bytes())
    }

    pub fn tag(&self, server: &str) -> ServerTag {
        ServerTag::of(&self.scope, &ServerId::parse(server).unwrap())
    }
}

pub fn now() -> u32 {
    u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
