//! The two forms of Burdock's own tokens.

/// The form of a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TokenFormat {
    #[default]
    Sealed,
    /// The server's route, readable and without dates.
    Plain,
}
