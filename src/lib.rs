//! Burdock's core: what keeps a client on the server that holds its session, and why.
//!
//! The core decides and does nothing else: no socket, file, log call, clock or random source. Time ([`time::Now`]) and
//! randomness are arguments, so every decision can be replayed in a test.
//!
//! # The path of one request
//!
//! [`route`] finds the upstream → [`sticky`] reads what the request claims of its session → [`balancer`] goes through the
//! claims in order, asks [`upstream`] whether the named server may serve, and picks another where it may not →
//! the shell sends the request there, and comes back for another pick if that fails → once a server has answered,
//! [`balancer`] settles the tie: which cookie, if any, goes to the client.
//!
//! # Words
//!
//! *upstream*: a named group of servers. *server*: one member. *session*: a client's tie to a server. *token*: a value that
//! names a server. *claim*: what a request says of its session, unverified. *pick*: choosing a server. *redispatch*: picking
//! again after a failure. *settle*: what the final response does to the tie. *drain*, *maint*: of servers.

pub mod balancer;
pub mod config;
pub mod http;
pub mod ids;
mod lock;
pub mod route;
pub mod session;
pub mod source;
pub mod sticky;
pub mod table;
pub mod time;
pub mod token;
pub mod upstream;
