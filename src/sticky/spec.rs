//! The chain of an upstream as the configuration describes it: values only.

use ::http::{HeaderName, StatusCode};

use crate::http::cookie::CookieName;
use crate::http::set_cookie::Attributes;
use crate::session::lifetime::Lifetime;
use crate::session::load_factor::LoadFactor;
use crate::session::named_secret::SecretSource;
use crate::session::scope::Scope;
use crate::session::token_format::TokenFormat;
use crate::source::{ResponseSource, Source};
use crate::table::TableName;
use crate::token::foreign::AcceptSpec;

/// What an upstream's sessions are tied by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickySpec {
    pub scope: Scope,
    /// In the order in which they are asked; none means plain load balancing.
    pub entries: Vec<EntrySpec>,
    pub affinity: AffinitySpec,
}

impl StickySpec {
    /// Where the secrets are that its entries need beside the keys.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let accepted = self.entries.iter().flat_map(|entry| match &entry.way {
            Way::Cookie(cookie) => &*cookie.accept,
            Way::Header(header) => &*header.accept,
            Way::Route(_) | Way::Hash(_) | Way::Learn(_) => &[],
        });
        accepted.filter_map(|accept| accept.format.secret())
    }
}

/// One way of tying, and whether the session may be served elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntrySpec {
    pub way: Way,
    pub strict: Strict,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    Cookie(CookieSpec),
    Header(HeaderSpec),
    Route(RouteIdSpec),
    Hash(HashSpec),
    Learn(LearnSpec),
}

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

/// A cookie that carries the tie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieSpec {
    pub name: CookieName,
    pub mode: CookieMode,
    pub attributes: Attributes,
    pub token: TokenFormat,
    pub lifetime: Lifetime,
    pub new_tie_on: NewTieOn,
    pub forwarding: Forwarding,
    pub preserve: Preserve,
    pub methods: Methods,
    pub caching: Caching,
    pub accept: Vec<AcceptSpec>,
}

/// Who makes the cookie, and what Burdock does with it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum CookieMode {
    /// Burdock adds a cookie of its own.
    #[default]
    Insert,
    /// The application's cookie; its value becomes the token.
    Rewrite,
    /// The application's cookie; the token goes before its value, and is taken off again in requests.
    Prefix,
    /// It is read and never written.
    Passive,
}

/// A header that carries the tie, for clients without cookies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderSpec {
    pub name: HeaderName,
    pub mode: HeaderMode,
    pub token: TokenFormat,
    pub lifetime: Lifetime,
    pub new_tie_on: NewTieOn,
    pub forwarding: Forwarding,
    pub expose: Expose,
    pub caching: Caching,
    pub accept: Vec<AcceptSpec>,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum HeaderMode {
    /// Burdock adds a header of its own to the response; the client sends it back.
    #[default]
    Insert,
    /// The application's session header; the token goes before its value, and is taken off again in requests.
    Envelope,
    /// It is read and never written.
    Passive,
}

/// A server's route id in something that the application made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteIdSpec {
    /// The first that is there and not empty counts.
    pub from: Vec<Source>,
}

/// A tie by consistent hash: nothing is written, the name's place on the ring is the tie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashSpec {
    /// The first that is there and not empty counts.
    pub key: Vec<Source>,
    /// How far above its fair share of what is in flight a server may be loaded before its sessions spill.
    pub load_factor: Option<LoadFactor>,
    /// None: as the upstream's failover says for `full`.
    pub when_full: Option<WhenFull>,
}

/// A session whose name the application makes: seen in its responses, kept in a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LearnSpec {
    pub table: TableName,
    /// Where a response names a session.
    pub create: Vec<ResponseSource>,
    /// Where a request names one that is learned without the application's confirmation: anybody can then fill the table.
    pub create_from_requests: Vec<Source>,
    /// Where a request names its session. Every name that it carries counts.
    pub lookup: Vec<Source>,
    pub at: LearnAt,
    /// Names of fewer octets are none.
    pub min_length: usize,
    pub new_tie_on: NewTieOn,
}

/// When a session is learned.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LearnAt {
    /// At the response's head, so that the client's next request finds it whatever the body takes.
    #[default]
    Headers,
    /// When the response is complete (nginx without `header`).
    End,
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
pub enum Methods {
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
    pub obey: Vec<Order>,
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
pub enum Order {
    Release,
    Extend,
    MoveTo,
}
