//! The admin service. `/healthz`, `/readyz` and `/metrics` are open to every client that reaches it. The API, which reads and
//! changes the process, is open on the Unix socket and, if there is a token, at the admin address to clients that send it.
//!
//! Connections come from two listeners ([`tcp_listener`], [`unix_listener`]) to one place ([`serve`]). [`auth`] decides which
//! requests are admitted.

mod api;
mod audit;
mod auth;
mod extract;
mod places;
mod probes;
mod problem;
mod router;
pub mod serve;
pub mod tcp_listener;
pub mod unix_listener;
