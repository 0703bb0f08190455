//! What a connection to a server is for.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionUse {
    Request,
    /// An upgraded stream, which may be silent for longer.
    HttpUpgrade,
}
