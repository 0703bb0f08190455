//! A request as persistence methods see it: read once for all entries of a chain. It knows no method.

use smallvec::SmallVec;

use crate::http::cookie::Cookies;
use crate::http::request::Request;
use crate::session::fingerprint::Fingerprint;
use crate::time::Now;

/// Why a request's claims are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To serve the request: its session counts as seen now.
    Serve,
    /// To explain where the request would go: its session does not count as seen.
    Explain,
}

/// The names of sessions, without duplicates.
pub type Names = SmallVec<[Fingerprint; 2]>;

/// The names that a request carries for one learn entry.
#[derive(Debug, Default)]
pub struct RequestNames {
    /// Names to look up in the table.
    pub lookup: Names,
    /// Names that may be learned from the request alone.
    pub offered: Names,
}

/// A request while its claims are read.
#[derive(Clone, Copy, Debug)]
pub struct IncomingRequest<'a, 'r> {
    pub request: &'a Request<'r>,
    /// The cookies that the chain reads.
    pub cookies: &'a Cookies<'r>,
    /// The result of [`Entry::names`](super::entry::Entry::names) for this entry.
    pub names: Option<&'a RequestNames>,
    pub purpose: Purpose,
    pub now: Now,
}
