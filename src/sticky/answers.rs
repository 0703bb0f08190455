//! What persistence methods answer about their writing, and about what applications say.

/// When a method can write a tie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writes {
    /// In any response.
    Always,
    /// In a response in which the application names the session.
    WhenNamed,
    /// In the session table, whatever the response.
    InTable,
    Never,
}

/// What the application says of its session in a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppSignal {
    Silent,
    /// It names a session.
    Creates,
    /// It ends one.
    Deletes,
}

/// What of a client a method writes its ties to. Nobody knows beforehand which of them a client keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Medium {
    Cookie,
    Header,
}
