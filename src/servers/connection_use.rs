//! The use of a connection to a server.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionUse {
    Request,
    /// A request that must not get a reused connection.
    RequestOnNew,
    /// An upgraded stream, with a longer read timeout.
    HttpUpgrade,
}
