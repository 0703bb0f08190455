//! Session tables on disk: each persistent table has a directory with a checkpoint and the journals since. They are read before the
//! listeners accept; one thread writes for all tables. It is one of several subscribers of the tables' feeds, and does not know the
//! others: neither the process upgrade nor other balancers.
//!
//! No error here ends the process or delays a request: a table that cannot be read starts empty, and a table that cannot be written
//! stays in memory until it can.

mod files;
mod fsync;
mod inbox;
mod progress;
mod recovery;
pub mod session_storage;
pub mod status;
#[cfg(test)]
mod tests;
mod worker;
mod writer;
