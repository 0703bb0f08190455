//! A request as persistence methods see it: what was read of it once, for all entries of a chain. It knows no method.

use smallvec::SmallVec;

use crate::http::cookie::Cookies;
use crate::http::request::Request;
use crate::session::fingerprint::Fingerprint;
use crate::time::Now;

/// What a request's claims are read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The request has come: its session lives, and is seen now.
    Serve,
    /// Somebody wants to know where it would go: it is no sign of life of its session.
    Explain,
}

/// Names of sessions, each once.
pub type Names = SmallVec<[Fingerprint; 2]>;

/// The names that a request carries for one entry that learns.
#[derive(Debug, Default)]
pub struct RequestNames {
    /// Names that the session may be found by.
    pub lookup: Names,
    /// Names that the request alone may create.
    pub offered: Names,
}

/// A request whose claims are read.
#[derive(Clone, Copy, Debug)]
pub struct IncomingRequest<'a, 'r> {
    pub request: &'a Request<'r>,
    /// The cookies that the chain was made for.
    pub cookies: &'a Cookies<'r>,
    /// What [`Entry::names`](super::entry::Entry::names) has read for this entry.
    pub names: Option<&'a RequestNames>,
    pub purpose: Purpose,
    pub now: Now,
}
