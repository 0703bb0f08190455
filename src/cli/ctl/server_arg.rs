//! A server as an argument of the command line.

use std::str::FromStr;

/// A server, named UPSTREAM/SERVER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerArg {
    pub upstream: String,
    pub server: String,
}

impl ServerArg {
    pub fn path(&self) -> String {
        crate::api::path(&["upstreams", &self.upstream, "servers", &self.server])
    }
}

impl FromStr for ServerArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((upstream, server)) if !upstream.is_empty() && !server.is_empty() => {
                Ok(Self { upstream: upstream.to_owned(), server: server.to_owned() })
            }
            Some(_) | None => Err("expected UPSTREAM/SERVER, such as shop/shop-1"),
        }
    }
}

impl std::fmt::Display for ServerArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.upstream, self.server)
    }
}
