//! Burdock's core: it decides which server serves each request, and keeps each client on the server that holds its
//! session.
//!
//! The core only decides. It opens no socket or file, writes no log, and reads no clock or random source. Time
//! ([`time::Now`]) and randomness are arguments, so a test can replay every decision.
//!
//! # The path of one request
//!
//! [`route`] finds the upstream → [`sticky`] reads what the request claims about its session → [`balancer`] goes
//! through the claims in order, asks [`upstream`] whether the named server may serve, and picks another one if it may
//! not → the shell sends the request there, and asks for another pick if that fails → when a server has answered,
//! [`balancer`] settles the tie: it decides which cookie, if any, goes to the client.
//!
//! # Words
//!
//! *upstream*: a named group of servers. *server*: one member. *session*: a client's tie to a server. *token*: a value
//! that names a server. *claim*: what a request says about its session, unverified. *pick*: choosing a server.
//! *redispatch*: picking again after a failure. *settle*: what the final response does to the tie. *drain*: a server
//! keeps its sessions and gets no new ones. *maint*: a server gets nothing.

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
