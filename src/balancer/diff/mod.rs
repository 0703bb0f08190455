//! The differences between two plans: as values, and as text. It applies nothing.

mod compare;
mod difference;
mod fields;
mod sticky;
mod text;

pub use compare::between;
pub use difference::{Difference, DifferenceKind, Field, Moves, RemovalKind, Subject};
pub use fields::server as server_fields;
