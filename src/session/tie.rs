//! A tie as it is to be written.

use super::number::SessionNumber;
use super::server_tag::ServerTag;
use super::stamps::Stamps;

/// A tie as it is to be written: which server, which session, since when.
#[derive(Clone, Copy, Debug)]
pub struct Tie<'s> {
    pub tag: ServerTag,
    /// The server's name in plain tokens.
    pub route: &'s str,
    pub session: SessionNumber,
    pub stamps: Stamps,
}
