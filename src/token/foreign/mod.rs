//! The tokens of the proxies that were here before, one file for each: what they put into a cookie or header, and which of our
//! servers that was. So that nobody is logged out by moving in.
//!
//! Most of these values are a function of a server's address and nothing else. They are computed once, for every server, and
//! then only looked up: whatever a client sends, it names one of our servers or none. Nearly all of them can be made by
//! anybody, as they could be there; that is why they are accepted for a while only, and replaced by our own.
//!
//! It knows no request and no clock: where a value was found, and whether its dates still hold, is the caller's business.

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
