//! HTTP/1 as bytes, read strictly (RFC 9112): heads of requests, the framing of bodies, chunks and trailers. One reader for every
//! engine, so that what one accepts no other reads differently.
//!
//! It is stricter than the RFC where readers are known to differ: line ends, white space, lengths, codings, hosts and targets. It
//! does no I/O, keeps no connection and knows no upstream; bytes and limits are arguments.

pub mod authority;
mod canonical;
pub mod chunks;
mod connection_options;
pub mod fault;
mod fields;
pub mod head_end;
pub mod length;
pub mod lines;
pub mod request_head;
pub mod response_head;
pub mod target;
#[cfg(test)]
mod tests;
pub mod upgrade;
