//! Tokens of other proxies, one file per proxy: what they put into a cookie or header, and which of our servers it names.
//! Accepting them keeps sessions alive when a site moves from that proxy to Burdock.
//!
//! Most of these values are a function of the server's address alone. They are computed once per server and then looked up, so
//! a client can only name one of our servers or none. Anyone can make nearly all of them, as with the other proxy; so they are
//! accepted for a limited time and replaced by our own tokens.
//!
//! It knows no request and no clock: the caller finds the value and checks its dates.

mod apache;
mod caddy;
mod dated;
mod envoy;
mod haproxy;
mod ingress_nginx;
mod nginx;
mod opened;
mod prefix;
mod reader;
mod servers;
mod spec;
mod tengine;
#[cfg(test)]
mod testing;
mod traefik;

pub use apache::{InvalidSeparator, Separator};
pub use opened::Opened;
pub use reader::Reader;
pub use spec::{AcceptSpec, Carrier, FormatSpec};
