//! Header text, no policy: Cookie and Set-Cookie, Cache-Control, Access-Control-Expose-Headers, forwarded headers, request
//! hygiene, hosts and paths.
//!
//! Everything here works on borrowed header maps and says what should change; the shell applies it. Nothing knows of
//! upstreams, servers, sessions or configuration. All of it runs for every request, so where nothing is to be changed
//! nothing is allocated.

pub mod cache_control;
pub mod connection_login;
pub mod cookie;
pub mod expose;
pub mod forwarded;
pub mod host;
pub mod hygiene;
pub mod path;
pub mod request;
pub mod set_cookie;

pub use cookie::{CookieName, InvalidCookieName};
pub use request::{Request, Response, Scheme};
pub use set_cookie::SetCookie;
