//! Text → domain values, or every error with its line.
//!
//! Two steps. `yaml` makes of the text a `tree` that knows where everything stood; then each part of the tree is read as
//! what it should be (`read`, with `record!` for maps and `choice!` for alternatives, declared in the files named after the
//! parts) and checked against the others, from `document` down. Whatever is wrong is noted and the rest still read, so that all
//! errors come at once. From the same declarations comes the JSON Schema.
//!
//! It knows all domain types; none of them knows it. It reads no file: the text is an argument.

mod accept;
mod admin;
mod balance;
mod conflicts;
mod dns;
mod document;
mod failover;
mod health_check;
mod listener;
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
mod upstream;
pub mod values;

pub use schema::errors::{Errors, Fault, Position, Warning};
pub use values::Config;
