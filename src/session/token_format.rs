//! The two forms of Burdock's own tokens.

/// What the token is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TokenFormat {
    #[default]
    Sealed,
    /// The server's route, readable and without dates.
    Plain,
}
