//! What the configuration says of entries, as far as several methods, or the balancer, share it: values only.

use ::http::StatusCode;

/// What happens to a session of this entry whose server cannot serve it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strict {
    /// What the rest of the chain and the upstream's failover say.
    #[default]
    Off,
    /// The request is refused with this status, whatever the cause: no other entry is asked. A server that is merely full
    /// is a 503 in any case, as the session is still there.
    Refuse(StatusCode),
}

/// What becomes of a hashed session whose server is full (HAProxy's `hash-preserve-affinity`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WhenFull {
    /// It stays, and is refused.
    Keep,
    /// The next server on the ring serves it meanwhile.
    Spill,
}

/// Which final responses of a server may tie a new session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NewTieOn {
    /// 101, 2xx and 3xx (Tengine).
    Below400,
    /// Any but 5xx: a server that fails fast must not collect the newcomers.
    #[default]
    Below500,
    Any,
}

/// Whether the server sees what carries the tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Forwarding {
    Hide,
    Show,
}

/// What becomes of a cookie of our name that the server sets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preserve {
    /// It is dropped.
    #[default]
    Off,
    /// It passes untouched, and none is inserted: the application ends or moves the session itself (HAProxy's `preserve`).
    On,
}

/// Responses to which requests may tie a new session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Verbs {
    #[default]
    All,
    /// HAProxy's `postonly`.
    Post,
}

/// What is said to shared caches of a response that carries a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Caching {
    /// That it is private.
    #[default]
    Private,
    /// Nothing.
    Leave,
}

/// Whether scripts of other origins may read the header.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Expose {
    /// Where the request came from a page of another origin.
    #[default]
    On,
    Off,
}

/// What servers are told, and what they may say, by the header Burdock-Affinity.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AffinitySpec {
    pub announce: Announce,
    /// The orders that are obeyed.
    pub obey: Vec<OrderKind>,
}

/// Whether a server is told that a session was moved to it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Announce {
    #[default]
    On,
    Off,
}

/// What an application may ask for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OrderKind {
    Release,
    Extend,
    MoveTo,
}
