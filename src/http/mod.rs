//! Header text without policy: Cookie and Set-Cookie, Cache-Control, Access-Control-Expose-Headers, forwarding headers,
//! hop-by-hop headers, hosts and paths.
//!
//! Functions here read borrowed header maps and return the changes, which the shell applies. Nothing here knows
//! upstreams, servers, sessions or the configuration. All of it runs for every request, so nothing is allocated unless
//! something changes.

pub mod cache_control;
pub mod connection_login;
pub mod cookie;
pub mod edits;
pub mod expose;
pub mod forwarded;
pub mod h1;
pub mod hop_by_hop;
pub mod host;
pub mod path;
pub mod preflight;
pub mod request;
pub mod set_cookie;
pub mod size;

pub use cookie::{CookieName, InvalidCookieName};
pub use request::{Request, Response, Scheme};
pub use set_cookie::SetCookie;
