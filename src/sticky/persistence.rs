//! The questions that every persistence method answers for itself, as configured and at work. What a method does not answer has
//! the answer of one that only reads: most methods write nothing. Which methods there are is not known here.

use std::fmt;

use ::http::HeaderMap;
use rand_core::CryptoRng;

use super::answers::{AppSignal, Medium, Writes};
use super::edits::{Carried, Reader, ServerLine};
use super::incoming::{IncomingRequest, RequestNames};
use super::spec::{Caching, NewTieOn, Verbs, WhenFull};
use crate::http::cookie::{CookieEdit, Cookies};
use crate::http::edits::Edits;
use crate::http::request::Request;
use crate::http::set_cookie::SetCookieLine;
use crate::session::claim::Claim;
use crate::session::lifetime::Due;
use crate::session::load_factor::LoadFactor;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::time::Now;
use crate::token::foreign::AcceptSpec;

/// A method as configured.
pub(crate) trait PersistenceSpec: PartialEq {
    /// Tokens of other proxies that it takes.
    fn accepts(&self) -> &[AcceptSpec] {
        &[]
    }

    /// The cookie or header that it has for its own: no two entries may share one.
    fn carrier(&self) -> Option<String> {
        None
    }

    /// Whether every request names a session to it, so that no entry behind it is asked.
    fn always_decides(&self) -> bool {
        false
    }

    /// Whether it puts a plain token before an application's value, where it ends at the first `~`.
    fn is_plain_prefix(&self) -> bool {
        false
    }

    /// Whether it reads what `other` has tied.
    fn reads_alike(&self, other: &Self) -> bool {
        self == other
    }
}

/// A method ready for requests. It is displayed by its kind and what it reads, as in `cookie BURDOCK_shop`.
pub(crate) trait Persistence: fmt::Display {
    /// Its word in log and metrics.
    const LABEL: &'static str;

    // How it reads.

    /// What the request says of its session.
    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r>;

    /// The names that the request carries, for a method that learns.
    fn names<'r>(&self, _request: &Request<'r>, _cookies: &Cookies<'r>) -> Option<RequestNames> {
        None
    }

    /// What the server sees of a cookie with this number and value. None where the cookie is not this method's.
    fn edit_of(&self, _number: usize, _value: &[u8], _now: Now) -> Option<CookieEdit> {
        None
    }

    /// What the server sees of the request's other headers.
    fn edit_request(&self, _headers: &HeaderMap, _now: Now, _edits: &mut Edits) {}

    /// How far above its fair share of what is in flight the server of a session may be loaded.
    fn load_factor(&self) -> Option<LoadFactor> {
        None
    }

    /// What becomes of a session whose server is full. None: as the upstream's failover says.
    fn when_full(&self) -> Option<WhenFull> {
        None
    }

    // How it writes.

    fn writes(&self) -> Writes {
        Writes::Never
    }

    /// What of a client it writes to.
    fn medium(&self) -> Option<Medium> {
        None
    }

    /// A token for a tie.
    fn token(&self, _tie: &Tie<'_>, _random: &mut impl CryptoRng) -> Option<String> {
        None
    }

    /// What becomes of a Set-Cookie line that the server sent. None where the cookie is not this method's.
    fn server_line(&self, _line: &SetCookieLine<'_>, _carried: Option<&Carried>, _now: Now) -> Option<ServerLine> {
        None
    }

    /// Puts what the response carries into it, and takes out what the client would take for that.
    fn edit_response(&self, _headers: &HeaderMap, _carried: Option<&Carried>, _reader: &Reader<'_>, _edits: &mut Edits) {}

    /// Whether what it writes depends on the host that the client came to.
    fn reads_host(&self) -> bool {
        false
    }

    /// Whether what it writes depends on the page that the request came from.
    fn reads_origin(&self) -> bool {
        false
    }

    // How it settles.

    /// What the application says of its session in a response with these headers.
    fn signal(&self, _headers: &HeaderMap, _now: Now) -> AppSignal {
        AppSignal::Silent
    }

    /// Whether a tie with these stamps is to be written anew.
    fn renewal(&self, _stamps: Stamps, _now: Now) -> Due {
        Due::Later
    }

    /// Whether the server keeps Burdock from writing, by a cookie of its own that is to pass.
    fn is_preserved(&self, _headers: &HeaderMap) -> bool {
        false
    }

    fn new_tie_on(&self) -> NewTieOn {
        NewTieOn::default()
    }

    fn verbs(&self) -> Verbs {
        Verbs::All
    }

    fn caching(&self) -> Caching {
        Caching::Leave
    }

    /// The idle time of the tokens that it makes, in seconds. None where they have none, or it makes none.
    fn token_idle(&self) -> Option<u32> {
        None
    }

    /// The idle time of its sessions, wherever they are kept, in seconds.
    fn idle(&self) -> Option<u32> {
        self.token_idle()
    }
}
