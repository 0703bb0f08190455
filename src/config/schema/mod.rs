//! A strict YAML reader that keeps positions, and the JSON Schema of what it reads. It knows nothing of Burdock.

pub mod choice;
pub mod errors;
pub mod map;
pub mod path;
pub mod read;
pub mod scalar;
pub mod text;
pub mod tree;
pub mod units;
pub mod vocabulary;
pub mod yaml;
