//! The value that names a server: what a client carries so that its next request finds the same one.
//!
//! [`sealed`] is the default: 76 characters that nobody without the key can make, change or read. [`plain`] is the server's
//! id as it is, for debugging and for applications that want to read it. [`keys`] holds what the first kind is sealed with.
//! [`foreign`] reads the tokens of other proxies, some of which are keyed with secrets.
//!
//! A token says which server, which session, and when; whether that server is up, and whether the session has idled too
//! long, is decided elsewhere. Nothing here asks for time or knows a server's state.

pub mod codec;
pub mod foreign;
mod hash;
pub mod keys;
pub mod payload;
pub mod plain;
pub mod sealed;
pub mod unopened;
