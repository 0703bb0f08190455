//! How one plan differs from another.

mod compare;
mod difference;
mod fields;
mod text;

pub use compare::between;
pub use difference::{Difference, DifferenceKind, Field, Moves, RemovalKind, Subject};
pub use fields::server as server_fields;
