//! Burdock's own engine for HTTP/1: exchanges without a request body. It calls the steps of `serve`, as Pingora's hooks do, and moves
//! bytes between the client's stream and Pingora's connections to servers. What it does not take, Pingora serves.

mod body;
pub mod engine;
mod exchange;
mod server_stream;
