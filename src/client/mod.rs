//! Client connections: the stream of one, how many there are, when one ends, and which end with their server. They know nothing of
//! requests' steps, nor of what runs around them.

pub mod client_gone;
pub mod client_stream;
pub mod close_on_down;
pub mod connections;
