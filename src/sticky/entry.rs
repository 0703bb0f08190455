//! One entry of a chain: a method, and whether its sessions may be served by other servers. It passes each question on to
//! its method, so that its callers need not know which method that is.

use ::http::HeaderMap;
use rand_core::CryptoRng;

use super::answers::{AppSignal, Medium, Writes};
use super::edits::{Carried, Reader, ServerLine};
use super::incoming::{IncomingRequest, RequestNames};
use super::learn::LearnMethod;
use super::method::{Method, MethodSpec, each};
use super::persistence::Persistence;
use super::spec::{Caching, NewTieOn, Strict, Verbs, WhenFull};
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

/// An entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntrySpec {
    pub method: MethodSpec,
    pub strict: Strict,
}

/// An entry in use.
#[derive(Debug)]
pub struct Entry {
    pub method: Method,
    pub strict: Strict,
}

/// Passes questions on: `fn question(&self, argument: Type) -> Answer` asks the method the same question.
macro_rules! ask {
    ($($visibility:vis fn $question:ident $(<$r:lifetime>)? (&self $(, $argument:ident: $of:ty)*) $(-> $answer:ty)?;)+) => {
        $($visibility fn $question $(<$r>)? (&self $(, $argument: $of)*) $(-> $answer)? {
            each!(Method, &self.method, method => method.$question($($argument),*))
        })+
    };
}

// The trait `Persistence` documents each of them.
impl Entry {
    ask! {
        pub fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r>;
        pub fn further_claims<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Vec<Claim<'r>>;
        pub fn names<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<RequestNames>;
        pub fn load_factor(&self) -> Option<LoadFactor>;
        pub fn when_full(&self) -> Option<WhenFull>;
        pub fn writes(&self) -> Writes;
        pub fn medium(&self) -> Option<Medium>;
        pub fn token(&self, tie: &Tie<'_>, random: &mut impl CryptoRng) -> Option<String>;
        pub fn signal(&self, headers: &HeaderMap, now: Now) -> AppSignal;
        pub fn renewal(&self, stamps: Stamps, now: Now) -> Due;
        pub fn is_preserved(&self, headers: &HeaderMap) -> bool;
        pub fn new_tie_on(&self) -> NewTieOn;
        pub fn verbs(&self) -> Verbs;
        pub fn caching(&self) -> Caching;
        pub fn token_idle(&self) -> Option<u32>;
        pub fn idle(&self) -> Option<u32>;

        pub(super) fn edit_of(&self, number: usize, value: &[u8], now: Now) -> Option<CookieEdit>;
        pub(super) fn edit_request(&self, headers: &HeaderMap, now: Now, edits: &mut Edits);
        pub(super) fn server_line(&self, line: &SetCookieLine<'_>, carried: Option<&Carried>, now: Now) -> Option<ServerLine>;
        pub(super) fn edit_response(
            &self, headers: &HeaderMap, carried: Option<&Carried>, reader: &Reader<'_>, edits: &mut Edits
        );
        pub(super) fn reads_host(&self) -> bool;
        pub(super) fn reads_origin(&self) -> bool;
    }

    /// The method, if it keeps its sessions in a table.
    pub fn learns(&self) -> Option<&LearnMethod> {
        if let Method::Learn(method) = &self.method { Some(method) } else { None }
    }
}
