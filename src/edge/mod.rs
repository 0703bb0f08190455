//! Where clients connect: listeners, and the loop over the requests of a connection.

pub mod connection;
pub mod listener;
mod own_response;
