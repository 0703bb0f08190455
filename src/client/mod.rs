//! Client connections: their stream, their number, disconnects, and closing them when their server goes down. They know neither the
//! steps of a request nor the rest of the process.

pub mod client_gone;
pub mod client_stream;
pub mod close_on_down;
pub mod connections;
mod gate;
