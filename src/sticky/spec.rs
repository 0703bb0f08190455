//! The chain of an upstream as the configuration describes it: values only.

use std::sync::Arc;

use crate::http::cookie::CookieName;
use crate::http::set_cookie::Attributes;

/// What an upstream's sessions are tied by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickySpec {
    pub scope: Scope,
    /// In the order in which they are asked; none means plain load balancing.
    pub entries: Vec<EntrySpec>,
}

/// Where tokens are good: the upstream's name, or a name of its own that outlives a renaming and that several may share.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope(pub Arc<str>);

/// One way of tying.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntrySpec {
    Cookie(CookieSpec),
}

/// A cookie that Burdock writes (`mode: insert`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieSpec {
    pub name: CookieName,
    pub attributes: Attributes,
    pub token: TokenFormat,
    pub lifetime: Lifetime,
    pub new_tie_on: NewTieOn,
}

/// What the cookie's value is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TokenFormat {
    #[default]
    Sealed,
    /// The server's id, readable and without dates.
    Plain,
}

/// How long a tie holds, in whole seconds. Enforced here, whatever the client keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lifetime {
    /// Longest time between two requests of the session.
    pub idle: Option<u32>,
    /// Longest time since the session was first tied, through renewals and moves.
    pub life: Option<u32>,
}

/// Which final responses of a server may tie a new session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NewTieOn {
    /// Any but 5xx: a server that fails fast must not collect the newcomers.
    #[default]
    Below500,
    Any,
}
