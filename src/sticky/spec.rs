//! Settings of sticky entries that several methods or the balancer share: values only.

use ::http::StatusCode;

/// What happens to a session of this entry whose server cannot serve it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strict {
    /// The rest of the chain and the upstream's failover decide.
    #[default]
    Off,
    /// The request is refused with this status, and no other entry is asked. If the server is only full, the status is 503,
    /// because the session still exists.
    Refuse(StatusCode),
}

/// What happens to a hashed session whose server is full (HAProxy's `hash-preserve-affinity`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WhenFull {
    /// It stays there and is refused.
    Keep,
    /// The next server on the ring serves it in the meantime.
    Spill,
}

/// Which final responses of a server may tie a new session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NewTieOn {
    /// 101, 2xx and 3xx (Tengine).
    Below400,
    /// All but 5xx: a server that fails fast must not attract the new sessions.
    #[default]
    Below500,
    Any,
}

/// Whether the server sees the cookie or header that carries the tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Forwarding {
    Hide,
    Show,
}

/// What happens to a cookie of our name that the server sets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preserve {
    /// It is dropped.
    #[default]
    Off,
    /// It passes unchanged, and none is inserted: the application ends or moves the session itself (HAProxy's `preserve`).
    On,
}

/// The request methods whose responses may tie a new session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Verbs {
    #[default]
    All,
    /// HAProxy's `postonly`.
    Post,
}

/// What Cache-Control says about a response that carries a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Caching {
    /// `private`: shared caches must not store it.
    #[default]
    Private,
    /// What the server says.
    Leave,
}

/// Whether scripts of pages from other origins may read the header.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Expose {
    /// They may, if such a page sent the request.
    #[default]
    On,
    Off,
}

/// How the header Burdock-Affinity is used in requests and responses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AffinitySpec {
    pub announce: Announce,
    /// The orders that an application may give.
    pub obey: Vec<OrderKind>,
}

/// Whether the header announces a moved session to its new server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Announce {
    #[default]
    On,
    Off,
}

/// The kinds of [`AffinityOrder`](super::affinity::AffinityOrder).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OrderKind {
    Release,
    Extend,
    MoveTo,
}
