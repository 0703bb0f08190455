//! The list of all persistence methods; each is implemented in its own file. To add one, add it to everything in this file,
//! which the compiler checks, and to `config/sticky`.

use std::fmt;

use super::cookie::{CookieMethod, CookieSpec};
use super::hash::{HashMethod, HashSpec};
use super::header::{HeaderMethod, HeaderSpec};
use super::learn::{LearnError, LearnMethod, LearnSpec};
use super::learn_table::Tables;
use super::persistence::{Persistence, PersistenceSpec};
use super::route::{ServerRouteMethod, ServerRouteSpec};
use super::secrets::Secrets;
use crate::http::cookie::CookieNames;
use crate::session::scope::Scope;
use crate::session::server_ref::ServerRef;
use crate::token::foreign::AcceptSpec;

/// A method as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MethodSpec {
    Cookie(CookieSpec),
    Header(HeaderSpec),
    Route(ServerRouteSpec),
    Hash(HashSpec),
    Learn(LearnSpec),
}

/// A method in use.
#[derive(Debug)]
pub enum Method {
    Cookie(Box<CookieMethod>),
    Header(Box<HeaderMethod>),
    Route(ServerRouteMethod),
    Hash(HashMethod),
    Learn(Box<LearnMethod>),
}

/// `each!(Method, value, name => expression)` evaluates the expression with the method that the value holds.
macro_rules! each {
    ($enum:ident, $value:expr, $method:ident => $answer:expr) => {
        match $value {
            $enum::Cookie($method) => $answer,
            $enum::Header($method) => $answer,
            $enum::Route($method) => $answer,
            $enum::Hash($method) => $answer,
            $enum::Learn($method) => $answer,
        }
    };
}
pub(super) use each;

/// What methods are built from.
pub(super) struct Parts<'p> {
    pub(super) scope: &'p Scope,
    pub(super) secrets: &'p Secrets,
    pub(super) tables: &'p Tables,
    pub(super) servers: &'p [ServerRef<'p>],
    /// The cookies to read from requests.
    pub(super) cookies: &'p mut CookieNames,
}

impl MethodSpec {
    pub(super) fn build(self, parts: &mut Parts<'_>) -> Result<Method, LearnError> {
        let Parts { scope, secrets, tables, servers, ref mut cookies } = *parts;
        Ok(match self {
            Self::Cookie(spec) => Method::Cookie(Box::new(CookieMethod::new(spec, scope, secrets, servers, cookies))),
            Self::Header(spec) => Method::Header(Box::new(HeaderMethod::new(spec, scope, secrets, servers))),
            Self::Route(spec) => Method::Route(ServerRouteMethod::new(spec, cookies)),
            Self::Hash(spec) => Method::Hash(HashMethod::new(spec, cookies)),
            Self::Learn(spec) => Method::Learn(Box::new(LearnMethod::new(spec, tables, servers, cookies)?)),
        })
    }

    /// Its fields, each with whether it is the same in `other`. None if `other` is another method.
    pub(crate) fn compare(&self, other: &Self) -> Option<Vec<(&'static str, bool)>> {
        match (self, other) {
            (Self::Cookie(spec), Self::Cookie(other)) => Some(spec.compare(other)),
            (Self::Header(spec), Self::Header(other)) => Some(spec.compare(other)),
            (Self::Route(spec), Self::Route(other)) => Some(spec.compare(other)),
            (Self::Hash(spec), Self::Hash(other)) => Some(spec.compare(other)),
            (Self::Learn(spec), Self::Learn(other)) => Some(spec.compare(other)),
            (Self::Cookie(_) | Self::Header(_) | Self::Route(_) | Self::Hash(_) | Self::Learn(_), _) => None,
        }
    }

    /// Its word in the configuration.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Cookie(_) => CookieMethod::LABEL,
            Self::Header(_) => HeaderMethod::LABEL,
            Self::Route(_) => ServerRouteMethod::LABEL,
            Self::Hash(_) => HashMethod::LABEL,
            Self::Learn(_) => LearnMethod::LABEL,
        }
    }

    /// Whether it can read the ties that `other` wrote.
    pub(crate) fn reads_alike(&self, other: &Self) -> bool {
        match self {
            Self::Cookie(spec) => matches!(other, Self::Cookie(other) if spec.reads_alike(other)),
            Self::Header(spec) => matches!(other, Self::Header(other) if spec.reads_alike(other)),
            Self::Route(spec) => matches!(other, Self::Route(other) if spec.reads_alike(other)),
            Self::Hash(spec) => matches!(other, Self::Hash(other) if spec.reads_alike(other)),
            Self::Learn(spec) => matches!(other, Self::Learn(other) if spec.reads_alike(other)),
        }
    }

    /// Whether it makes or reads sealed tokens, which need keys.
    pub fn seals(&self) -> bool {
        each!(Self, self, spec => spec.seals())
    }

    pub(crate) fn accepts(&self) -> &[AcceptSpec] {
        each!(Self, self, spec => spec.accepts())
    }

    pub(crate) fn carrier(&self) -> Option<String> {
        each!(Self, self, spec => spec.carrier())
    }

    pub(crate) fn always_decides(&self) -> bool {
        each!(Self, self, spec => spec.always_decides())
    }

    pub(crate) fn is_plain_prefix(&self) -> bool {
        each!(Self, self, spec => spec.is_plain_prefix())
    }
}

impl Method {
    /// The labels of all methods in the log and in metrics, each at its [`Self::index`].
    pub const LABELS: [&'static str; 5] =
        [CookieMethod::LABEL, HeaderMethod::LABEL, ServerRouteMethod::LABEL, HashMethod::LABEL, LearnMethod::LABEL];

    /// Its position in [`Self::LABELS`].
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::Cookie(_) => 0,
            Self::Header(_) => 1,
            Self::Route(_) => 2,
            Self::Hash(_) => 3,
            Self::Learn(_) => 4,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(Self, self, method => method.fmt(f))
    }
}
