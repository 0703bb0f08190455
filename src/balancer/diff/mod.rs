//! How one plan differs from another.

mod compare;
mod difference;
mod fields;
mod text;

pub use compare::between;
pub use difference::{Difference, Field, Gone, Moves, Place, What};
pub use fields::server as server_fields;
