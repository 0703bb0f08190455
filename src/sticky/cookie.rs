//! `cookie` entries: the tie is in a cookie, either one that Burdock adds or the application's, which then holds a token. It
//! does not know which servers are up.

use std::fmt;

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue};
use rand_core::CryptoRng;

use super::answers::{AppSignal, Medium, Writes};
use super::edits::{Carried, Reader, ServerLine};
use super::followed::Followed;
use super::incoming::IncomingRequest;
use super::persistence::{Persistence, PersistenceSpec};
use super::secrets::Secrets;
use super::spec::{Caching, Forwarding, NewTieOn, Preserve, Verbs};
use crate::http::cookie::{CookieEdit, CookieName, CookieNames};
use crate::http::edits::Edits;
use crate::http::set_cookie::{Attributes, SetCookie, SetCookieLine};
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

/// The most cookies of one name that are read. A browser sends several if they were set for different paths or domains.
const MAX_COOKIES: usize = 4;

/// A cookie entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieSpec {
    pub name: CookieName,
    pub mode: CookieMode,
    /// In mode insert: the application's cookie that this one is set, renewed and deleted with.
    pub follows: Option<CookieName>,
    pub attributes: Attributes,
    pub token: TokenFormat,
    pub lifetime: Lifetime,
    pub new_tie_on: NewTieOn,
    pub forwarding: Forwarding,
    pub preserve: Preserve,
    pub verbs: Verbs,
    pub caching: Caching,
    pub accept: Vec<AcceptSpec>,
}

/// Who sets the cookie, and what Burdock does with it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum CookieMode {
    /// Burdock adds a cookie of its own.
    #[default]
    Insert,
    /// The application's cookie; its value becomes the token.
    Rewrite,
    /// The application's cookie; the token precedes its value and is removed from requests.
    Prefix,
    /// Only read, never written.
    Passive,
}

/// A cookie entry in use.
#[derive(Debug)]
pub struct CookieMethod {
    name: CookieName,
    /// The number of `name` in the chain's [`CookieNames`].
    number: usize,
    mode: CookieMode,
    follows: Option<Followed>,
    set_cookie: SetCookie,
    /// How long a browser keeps the cookie, in seconds.
    max_age: Option<u32>,
    codec: Codec,
    /// Cookies with other names that the previous proxy set, and how to read them.
    foreign: Box<[(usize, Accepted)]>,
    forwarding: Forwarding,
    preserve: Preserve,
    verbs: Verbs,
    caching: Caching,
    new_tie_on: NewTieOn,
}

impl PersistenceSpec for CookieSpec {
    fn accepts(&self) -> &[AcceptSpec] {
        &self.accept
    }

    fn carrier(&self) -> Option<String> {
        Some(format!("cookie {}", self.name.as_str()))
    }

    fn is_plain_prefix(&self) -> bool {
        self.mode == CookieMode::Prefix && self.token == TokenFormat::Plain
    }

    fn seals(&self) -> bool {
        self.token == TokenFormat::Sealed
    }

    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)> {
        // Destructured so that no new field is forgotten.
        let Self {
            name,
            mode,
            follows,
            attributes,
            token,
            lifetime,
            new_tie_on,
            forwarding,
            preserve,
            verbs,
            caching,
            accept,
        } = self;
        let mut fields =
            vec![("name", *name == other.name), ("mode", *mode == other.mode), ("follows", *follows == other.follows)];
        fields.extend(attributes.compare(&other.attributes));
        fields.extend(lifetime.compare(other.lifetime));
        fields.extend([
            ("token", *token == other.token),
            ("new_tie_on", *new_tie_on == other.new_tie_on),
            ("post_only", *verbs == other.verbs),
            ("preserve", *preserve == other.preserve),
            ("hide", *forwarding == other.forwarding),
            ("cache_control", *caching == other.caching),
            ("accept", *accept == other.accept),
        ]);
        fields
    }

    fn reads_alike(&self, other: &Self) -> bool {
        (&self.name, self.mode, self.token) == (&other.name, other.mode, other.token)
    }
}

impl Persistence for CookieMethod {
    const LABEL: &'static str = "cookie";

    /// The first valid cookie of our name; if none is valid, what is wrong with the first.
    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r> {
        if self.follows.as_ref().is_some_and(|followed| !followed.is_in(incoming.cookies)) {
            return Claim::Absent;
        }
        let mut worst = None;
        for read in self.reads(incoming) {
            match read {
                Ok((server, named)) => return Claim::Names(server, named),
                Err(bad) => worst = worst.or(Some(bad)),
            }
        }
        worst.map_or(Claim::Absent, Claim::Bad)
    }

    fn further_claims<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Vec<Claim<'r>> {
        let numbers = std::iter::once(self.number).chain(self.foreign.iter().map(|&(number, _)| number));
        // Counted first: opening tokens costs more.
        if numbers.map(|number| incoming.cookies.values(number).count()).sum::<usize>() < 2 {
            return Vec::new();
        }
        let good = self.reads(incoming).filter_map(Result::ok);
        good.skip(1).map(|(server, named)| Claim::Names(server, named)).collect()
    }

    fn edit_of(&self, number: usize, value: &[u8], now: Now) -> Option<CookieEdit> {
        if number != self.number {
            return self.edit_of_foreign(number);
        }
        Some(match (self.mode, self.forwarding) {
            (CookieMode::Prefix, _) => match self.codec.inside(value, now) {
                Some(inside) => CookieEdit::StripPrefix(value.len() - inside.len()),
                None => CookieEdit::Keep,
            },
            (_, Forwarding::Hide) => CookieEdit::Remove,
            (_, Forwarding::Show) => CookieEdit::Keep,
        })
    }

    fn writes(&self) -> Writes {
        match self.mode {
            CookieMode::Insert if self.follows.is_some() => Writes::Following,
            CookieMode::Insert => Writes::Always,
            CookieMode::Rewrite | CookieMode::Prefix => Writes::WhenNamed,
            CookieMode::Passive => Writes::Never,
        }
    }

    fn medium(&self) -> Option<Medium> {
        Some(Medium::Cookie)
    }

    fn token(&self, tie: &Tie<'_>, random: &mut impl CryptoRng) -> Option<String> {
        Some(self.codec.make(tie, random))
    }

    fn server_line(&self, line: &SetCookieLine<'_>, carried: Option<&Carried>, now: Now) -> Option<ServerLine> {
        if line.name() != self.name.as_str().as_bytes() {
            return None;
        }
        Some(match carried {
            Some(Carried::Token(token)) => self.rewrite(line, Some(token), now),
            Some(Carried::Deletion) | None => self.rewrite(line, None, now),
        })
    }

    fn edit_response(&self, headers: &HeaderMap, carried: Option<&Carried>, reader: &Reader<'_>, edits: &mut Edits) {
        if self.mode != CookieMode::Insert {
            return;
        }
        let followed = self.follows.as_ref().and_then(|followed| followed.line(headers, reader.now));
        let site = self.set_cookie.site(reader.host);
        let line = carried.and_then(|carried| match (carried, &followed) {
            (Carried::Token(token), None) => self.set_cookie.render(token, reader.scheme, site),
            (Carried::Token(token), Some(line)) => {
                let rendered = self.set_cookie.render(token, reader.scheme, site)?;
                appended(&rendered, &line.path_and_times())
            }
            (Carried::Deletion, None) => Some(self.set_cookie.deletion(reader.scheme, site)),
            (Carried::Deletion, Some(line)) => appended(&self.set_cookie.deletion(reader.scheme, site), &line.path()),
        });
        if let Some(line) = line {
            edits.append(SET_COOKIE, line);
        }
    }

    /// The Domain attribute depends on the host.
    fn reads_host(&self) -> bool {
        self.set_cookie.reads_host()
    }

    /// What the response does with the session, if the entry uses the application's cookie.
    fn signal(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        match self.mode {
            CookieMode::Insert => self.follows.as_ref().map_or(AppSignal::Silent, |followed| followed.signal(headers, now)),
            CookieMode::Passive => AppSignal::Silent,
            CookieMode::Rewrite | CookieMode::Prefix => {
                let lines = || self.lines(headers);
                match (lines().any(|line| !line.deletes(now.wall.0)), lines().next()) {
                    (true, _) => AppSignal::Creates,
                    (false, Some(_)) => AppSignal::Deletes,
                    (false, None) => AppSignal::Silent,
                }
            }
        }
    }

    /// Due a tenth into the shorter of the idle time and Max-Age: browsers count Max-Age from the last Set-Cookie, so without
    /// a renewal it would end a session in use.
    fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        let by_age = Lifetime { idle: self.max_age, life: None };
        match by_age.renewal(stamps, now.wall) {
            Due::Now => Due::Now,
            Due::Later => self.codec.renewal(stamps, now),
        }
    }

    /// Whether a cookie of this name that the server sets keeps Burdock from setting one.
    fn is_preserved(&self, headers: &HeaderMap) -> bool {
        self.preserve == Preserve::On && self.lines(headers).next().is_some()
    }

    fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    fn verbs(&self) -> Verbs {
        self.verbs
    }

    fn caching(&self) -> Caching {
        self.caching
    }

    fn token_idle(&self) -> Option<u32> {
        self.codec.idle()
    }
}

impl fmt::Display for CookieMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie {}", self.name)
    }
}

impl CookieMethod {
    pub(super) fn new(
        spec: CookieSpec,
        scope: &Scope,
        secrets: &Secrets,
        servers: &[ServerRef<'_>],
        names: &mut CookieNames,
    ) -> Self {
        let carrier = match spec.mode {
            CookieMode::Prefix => Carrier::PrefixedCookie,
            CookieMode::Insert | CookieMode::Rewrite | CookieMode::Passive => Carrier::Cookie,
        };
        let accepted = |named: &CookieName| {
            let own = spec.accept.iter().filter(|accept| accept.name.as_ref().is_none_or(|name| name == named));
            own.map(|accept| Accepted::new(accept, carrier, secrets.of_format(&accept.format), servers)).collect()
        };
        let foreign = spec.accept.iter().filter_map(|accept| {
            let name = accept.name.clone().filter(|name| *name != spec.name)?;
            Some((names.number(&name), Accepted::new(accept, Carrier::Cookie, secrets.of_format(&accept.format), servers)))
        });
        let foreign = foreign.collect();
        let context = Context { kind: Kind::Cookie, scope: &scope.0, entry: spec.name.as_str() };
        Self {
            number: names.number(&spec.name),
            mode: spec.mode,
            follows: spec.follows.map(|name| Followed::new(name, names)),
            max_age: spec.attributes.max_age,
            set_cookie: SetCookie::new(spec.name.clone(), &spec.attributes),
            codec: Codec::new(spec.token, spec.lifetime, accepted(&spec.name), &secrets.ring, context),
            foreign,
            forwarding: spec.forwarding,
            preserve: spec.preserve,
            verbs: spec.verbs,
            caching: spec.caching,
            new_tie_on: spec.new_tie_on,
            name: spec.name,
        }
    }

    /// The edit of a cookie with another name. If only the previous proxy can have set it, it is hidden like our own.
    fn edit_of_foreign(&self, number: usize) -> Option<CookieEdit> {
        let is_foreign_token = |accepted: &Accepted| !accepted.rides_on_the_applications();
        let mut found = self.foreign.iter().filter(|(known, _)| *known == number);
        let hidden = self.forwarding == Forwarding::Hide && found.any(|(_, accepted)| is_foreign_token(accepted));
        hidden.then_some(CookieEdit::Remove)
    }

    /// Edits a Set-Cookie line of our name that the server sent, given the token to send, if any.
    fn rewrite(&self, line: &SetCookieLine<'_>, token: Option<&str>, now: Now) -> ServerLine {
        match (self.mode, token) {
            (CookieMode::Insert, _) if self.preserve == Preserve::Off => ServerLine::Dropped,
            (CookieMode::Insert | CookieMode::Passive, _) | (_, None) => ServerLine::AsIs,
            (CookieMode::Rewrite | CookieMode::Prefix, Some(_)) if line.deletes(now.wall.0) => ServerLine::AsIs,
            (CookieMode::Rewrite, Some(token)) => ServerLine::of(line.with_value(token.as_bytes())),
            (CookieMode::Prefix, Some(token)) => {
                let mut prefix = token.as_bytes().to_vec();
                prefix.push(DELIMITER);
                ServerLine::of(line.with_prefix(&prefix))
            }
        }
    }

    /// The tokens in cookies of our name, then those in cookies of previous proxies.
    fn reads<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> impl Iterator<Item = Read<'r>> {
        let IncomingRequest { cookies, now, .. } = *incoming;
        let own = cookies.values(self.number).take(MAX_COOKIES).filter_map(move |value| self.read(value, now));
        let foreign = self.foreign.iter().flat_map(move |(number, accepted)| {
            let values = cookies.values(*number).take(MAX_COOKIES);
            values.filter_map(move |value| self.codec.read_accepted(accepted, value, now))
        });
        own.chain(foreign)
    }

    fn read<'v>(&self, value: &'v [u8], now: Now) -> Option<Read<'v>> {
        match self.mode {
            CookieMode::Insert | CookieMode::Rewrite | CookieMode::Passive => Some(self.codec.read(value, now)),
            // A value without a token was set by the application when Burdock did not see it.
            CookieMode::Prefix => self.codec.unwrap(value, now).map(|wrapped| wrapped.claim),
        }
    }

    fn lines<'r>(&'r self, headers: &'r HeaderMap) -> impl Iterator<Item = SetCookieLine<'r>> {
        let lines = headers.get_all(SET_COOKIE).into_iter().filter_map(SetCookieLine::parse);
        lines.filter(|line| line.name() == self.name.as_str().as_bytes())
    }
}

/// A Set-Cookie line with these attributes after its own.
fn appended(line: &HeaderValue, attributes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from([line.as_bytes(), attributes].concat()).ok()
}
