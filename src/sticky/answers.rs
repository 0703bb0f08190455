//! How a persistence method writes its ties, and how it reads an application's response: values only.

/// When a method can write a tie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writes {
    /// In any response.
    Always,
    /// In a response in which the application names the session.
    WhenNamed,
    /// The same, and deleted in a response in which the application ends the session.
    Following,
    /// In the session table, whatever the response.
    InTable,
    Never,
}

/// What an application's response does with its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppSignal {
    Silent,
    /// It creates a session, or names one again.
    Creates,
    /// It ends the session.
    Deletes,
}

/// Where a client keeps a method's ties. Burdock does not know in advance which of the two a client keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Medium {
    Cookie,
    Header,
}
