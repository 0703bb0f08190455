//! The admin service. `/healthz`, `/readyz` and `/metrics` are for everybody who reaches it. What reads or changes the process
//! itself, the API, is for those who come by the Unix socket and, where there is a token, for those who bring it to the address.
//!
//! Connections come from two listeners ([`tcp_listener`], [`unix_listener`]) into one place ([`serve`]); [`auth`] decides who is let
//! in.

mod api;
mod audit;
mod auth;
mod extract;
mod probes;
mod problem;
mod router;
pub mod serve;
pub mod tcp_listener;
pub mod unix_listener;
