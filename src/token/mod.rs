//! Tokens: the value that a client carries so that its next request reaches the same server.
//!
//! [`sealed`] is the default: 76 characters that cannot be made, changed or read without the key. [`plain`] is the server's id
//! itself, for debugging and for applications that read it. [`keys`] holds the keys that seal tokens.
//! [`foreign`] reads the tokens of other proxies, some of which are keyed with secrets.
//!
//! A token holds the server, the session and its dates. Other modules decide whether that server is up and whether the session
//! has expired. Nothing here reads the clock or knows a server's state.

pub mod codec;
pub mod foreign;
mod hash;
pub mod keys;
pub mod open_error;
pub mod payload;
pub mod plain;
pub mod sealed;
