//! Configuration text → domain values, or all errors with their lines.
//!
//! This takes two steps. `yaml` parses the text to a `tree` with positions. Then `document` and the files below it read
//! each part of the tree by its grammar (`read`, with `record!` for maps and `choice!` for alternatives) and check the
//! parts against each other. An error does not stop reading, so that all errors are reported at once. The same
//! declarations give the JSON Schema.
//!
//! It knows all domain types; they do not know it. It reads no file: the text is an argument.

mod accept;
mod admin;
mod balance;
mod conflicts;
pub mod directories;
mod dns;
mod document;
mod failover;
mod foreign_words;
mod health_check;
mod host_index;
mod listener;
mod loops;
mod names;
mod passive_health;
mod process;
mod response_source;
mod route;
mod schema;
mod server;
mod source;
mod sticky;
mod tables;
mod tcp_keepalive;
mod upstream;
pub mod values;

pub use schema::errors::{Errors, Fault, Position, Warning};
pub use values::Config;
