//! The use of a connection to a server.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionUse {
    Request,
    /// An upgraded stream, with a longer read timeout.
    HttpUpgrade,
}
