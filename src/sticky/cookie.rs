//! A cookie that carries the tie: one of Burdock's own, or the application's with a token in it.

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue};

use super::answers::AppSignal;
use super::spec::{Caching, CookieMode, CookieSpec, Forwarding, Methods, NewTieOn, Preserve};
use crate::http::cookie::{CookieEdit, CookieName, CookieNames, Cookies};
use crate::http::request::Scheme;
use crate::http::set_cookie::{SetCookie, SetCookieLine};
use crate::session::claim::Claim;
use crate::session::lifetime::Due;
use crate::session::scope::Scope;
use crate::session::server_ref::ServerRef;
use crate::session::stamps::Stamps;
use crate::sticky::answers::Writes;
use crate::sticky::secrets::Secrets;
use crate::time::Now;
use crate::token::codec::{Accepted, Codec, DELIMITER, Read};
use crate::token::foreign::Carrier;
use crate::token::sealed::{Context, Kind};

/// So many cookies of our name are tried. A browser sends more than one when they were set for different paths or domains.
const TRIED: usize = 4;

#[derive(Debug)]
pub struct CookieEntry {
    name: CookieName,
    /// Of the name, among those that requests are searched for.
    number: usize,
    pub(super) mode: CookieMode,
    set_cookie: SetCookie,
    pub(super) codec: Codec,
    /// Cookies of other names that the proxy before us set, and how they are read.
    elsewhere: Box<[(usize, Accepted)]>,
    forwarding: Forwarding,
    preserve: Preserve,
    methods: Methods,
    caching: Caching,
    new_tie_on: NewTieOn,
}

impl CookieEntry {
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
        let elsewhere = spec.accept.iter().filter_map(|accept| {
            let name = accept.name.clone().filter(|name| *name != spec.name)?;
            Some((names.number(&name), Accepted::new(accept, Carrier::Cookie, secrets.of_format(&accept.format), servers)))
        });
        let elsewhere = elsewhere.collect();
        let context = Context { kind: Kind::Cookie, scope: &scope.0, entry: spec.name.as_str() };
        Self {
            number: names.number(&spec.name),
            mode: spec.mode,
            set_cookie: SetCookie::new(spec.name.clone(), &spec.attributes),
            codec: Codec::new(spec.token, spec.lifetime, accepted(&spec.name), &secrets.ring, context),
            elsewhere,
            forwarding: spec.forwarding,
            preserve: spec.preserve,
            methods: spec.methods,
            caching: spec.caching,
            new_tie_on: spec.new_tie_on,
            name: spec.name,
        }
    }

    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// The first cookie of our name that is good; if none is, what is wrong with the first.
    pub(super) fn claim<'r>(&self, cookies: &Cookies<'r>, now: Now) -> Claim<'r> {
        let mut worst = None;
        let own = cookies.values(self.number).take(TRIED).filter_map(|value| self.read(value, now));
        let foreign = self.elsewhere.iter().flat_map(|(number, accepted)| {
            cookies.values(*number).take(TRIED).filter_map(|value| self.codec.read_accepted(accepted, value, now))
        });
        for read in own.chain(foreign) {
            match read {
                Ok((server, named)) => return Claim::Names(server, named),
                Err(bad) => worst = worst.or(Some(bad)),
            }
        }
        worst.map_or(Claim::Absent, Claim::Bad)
    }

    /// What the server sees of a cookie. None where the cookie is not this entry's.
    pub(super) fn edit_of(&self, number: usize, value: &[u8], now: Now) -> Option<CookieEdit> {
        if number != self.number {
            return self.passage_elsewhere(number);
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

    /// A cookie of another name that only the proxy before us can have set is hidden as ours is.
    fn passage_elsewhere(&self, number: usize) -> Option<CookieEdit> {
        let is_proxys = |accepted: &Accepted| !accepted.rides_on_the_applications();
        let mut found = self.elsewhere.iter().filter(|(known, _)| *known == number);
        let hidden = self.forwarding == Forwarding::Hide && found.any(|(_, accepted)| is_proxys(accepted));
        hidden.then_some(CookieEdit::Remove)
    }

    /// What the application says of the session in a response, where this entry rides on the application's cookie.
    pub(super) fn spoken(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        match self.mode {
            CookieMode::Insert | CookieMode::Passive => AppSignal::Silent,
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

    pub(super) fn writes(&self) -> Writes {
        match self.mode {
            CookieMode::Insert => Writes::Always,
            CookieMode::Rewrite | CookieMode::Prefix => Writes::WhenSpoken,
            CookieMode::Passive => Writes::Never,
        }
    }

    /// What becomes of a Set-Cookie line of our name that the server sent, with the token that is to go out, if any.
    pub(super) fn rewrite(&self, line: &SetCookieLine<'_>, token: Option<&str>, now: Now) -> ServerLine {
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

    /// The Set-Cookie that carries a token to a client that came to `host` by `scheme`.
    pub(super) fn render(&self, token: &str, scheme: Scheme, host: &str) -> Option<HeaderValue> {
        self.set_cookie.render(token, scheme, self.set_cookie.site(host))
    }

    /// The Set-Cookie by which the client forgets the tie.
    pub(super) fn deletion(&self, scheme: Scheme, host: &str) -> Option<HeaderValue> {
        Some(self.set_cookie.deletion(scheme, self.set_cookie.site(host)))
    }

    /// Whether a server's own cookie of this name keeps Burdock from setting one.
    pub(super) fn is_preserved(&self, headers: &HeaderMap) -> bool {
        self.preserve == Preserve::On && self.lines(headers).next().is_some()
    }

    pub(super) fn reads_host(&self) -> bool {
        self.set_cookie.reads_host()
    }

    pub(super) fn methods(&self) -> Methods {
        self.methods
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
            CookieMode::Insert | CookieMode::Rewrite | CookieMode::Passive => Some(self.codec.read(value, now)),
            // A value without a token is one that the application has set while nobody looked.
            CookieMode::Prefix => self.codec.unwrap(value, now).map(|wrapped| wrapped.claim),
        }
    }

    fn lines<'r>(&'r self, headers: &'r HeaderMap) -> impl Iterator<Item = SetCookieLine<'r>> {
        let lines = headers.get_all(SET_COOKIE).into_iter().filter_map(SetCookieLine::parse);
        lines.filter(|line| line.name() == self.name.as_str().as_bytes())
    }
}

/// What becomes of a line that the server sent.
#[derive(Debug)]
pub(super) enum ServerLine {
    AsIs,
    Dropped,
    Replaced(HeaderValue),
}

impl ServerLine {
    /// A line that cannot be made passes as it is.
    fn of(line: Option<HeaderValue>) -> Self {
        line.map_or(Self::AsIs, Self::Replaced)
    }
}
