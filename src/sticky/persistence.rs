//! The traits of a persistence method, as configured and in use. The default answers are those of a method that only reads,
//! because most methods write nothing. It does not know which methods exist.

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
    /// The tokens of other proxies that it accepts.
    fn accepts(&self) -> &[AcceptSpec] {
        &[]
    }

    /// The cookie or header that it uses exclusively: two entries must not share one.
    fn carrier(&self) -> Option<String> {
        None
    }

    /// Whether every request names a session for it, so that entries after it are never asked.
    fn always_decides(&self) -> bool {
        false
    }

    /// Whether it puts a plain token before an application's value. Such a token ends at the first `~`.
    fn is_plain_prefix(&self) -> bool {
        false
    }

    /// Whether it makes or reads sealed tokens, which need keys.
    fn seals(&self) -> bool {
        false
    }

    /// Its fields by their names in the configuration, each with whether it is the same in `other`.
    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)>;

    /// Whether it can read the ties that `other` wrote.
    fn reads_alike(&self, other: &Self) -> bool {
        self == other
    }
}

/// A method in use. Its `Display` shows its kind and what it reads, such as `cookie BURDOCK_shop`.
pub(crate) trait Persistence: fmt::Display {
    /// Its label in the log and in metrics.
    const LABEL: &'static str;

    // Reading.

    /// What the request claims about its session.
    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r>;

    /// The other servers that the request names for this method, after a claim that names one. Browsers send several cookies
    /// of one name if their domain or path has changed, the older one first.
    fn further_claims<'r>(&self, _incoming: &IncomingRequest<'_, 'r>) -> Vec<Claim<'r>> {
        Vec::new()
    }

    /// The session names that the request carries, if the method learns.
    fn names<'r>(&self, _request: &Request<'r>, _cookies: &Cookies<'r>) -> Option<RequestNames> {
        None
    }

    /// How a cookie with this number and value is edited for the server. None if the cookie is not this method's.
    fn edit_of(&self, _number: usize, _value: &[u8], _now: Now) -> Option<CookieEdit> {
        None
    }

    /// Edits the request's other headers for the server.
    fn edit_request(&self, _headers: &HeaderMap, _now: Now, _edits: &mut Edits) {}

    /// How far above its fair share of requests in flight the server of a session may be loaded.
    fn load_factor(&self) -> Option<LoadFactor> {
        None
    }

    /// What happens to a session whose server is full. None: the upstream's failover action.
    fn when_full(&self) -> Option<WhenFull> {
        None
    }

    // Writing.

    /// When it can write a tie.
    fn writes(&self) -> Writes {
        Writes::Never
    }

    /// Where the client keeps its ties.
    fn medium(&self) -> Option<Medium> {
        None
    }

    /// A token for a tie.
    fn token(&self, _tie: &Tie<'_>, _random: &mut impl CryptoRng) -> Option<String> {
        None
    }

    /// Edits a Set-Cookie line that the server sent. None if the cookie is not this method's.
    fn server_line(&self, _line: &SetCookieLine<'_>, _carried: Option<&Carried>, _now: Now) -> Option<ServerLine> {
        None
    }

    /// Adds what the response carries to the client, and removes headers that the client would mistake for it.
    fn edit_response(&self, _headers: &HeaderMap, _carried: Option<&Carried>, _reader: &Reader<'_>, _edits: &mut Edits) {}

    /// Whether what it writes depends on the request's host.
    fn reads_host(&self) -> bool {
        false
    }

    /// Whether what it writes depends on the page that sent the request.
    fn reads_origin(&self) -> bool {
        false
    }

    // Settling.

    /// What the application does with its session in a response with these headers.
    fn signal(&self, _headers: &HeaderMap, _now: Now) -> AppSignal {
        AppSignal::Silent
    }

    /// Whether a tie with these stamps is due for renewal.
    fn renewal(&self, _stamps: Stamps, _now: Now) -> Due {
        Due::Later
    }

    /// Whether the server keeps Burdock from writing, by a cookie of its own that passes unchanged.
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

    /// The idle time of its tokens, in seconds. None if it makes no tokens or they have no idle time.
    fn token_idle(&self) -> Option<u32> {
        None
    }

    /// The idle time of its sessions, wherever they are kept, in seconds.
    fn idle(&self) -> Option<u32> {
        self.token_idle()
    }
}
