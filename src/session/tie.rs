//! A tie that is to be written.

use super::number::SessionNumber;
use super::server_tag::ServerTag;
use super::stamps::Stamps;

/// A tie that is to be written: server, session and dates.
#[derive(Clone, Copy, Debug)]
pub struct Tie<'s> {
    pub tag: ServerTag,
    /// The server's name in plain tokens.
    pub route: &'s str,
    pub session: SessionNumber,
    pub stamps: Stamps,
}
