//! Client connections: how one begins, its stream, how many there are, when one ends.

pub mod client_gone;
pub mod client_stream;
pub mod close_on_down;
pub mod connections;
pub mod listener;
