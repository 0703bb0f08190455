//! Session tables outlive the process: each that is to be kept has a directory with a checkpoint and the journals since. They are
//! read before listeners accept; one thread writes for all tables. It follows the tables' feeds as one subscriber of several, and
//! knows no other: neither the process upgrade nor other balancers.
//!
//! Nothing that goes wrong here ends the process or keeps a request waiting: a table that cannot be read begins empty, one
//! that cannot be written lives in memory until it can.

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
