//! The demo shop: a small web application that keeps its customers' carts only in its own memory, so that it matters which server
//! a customer gets. It runs behind Burdock and knows nothing of it, except for the access log that it can show.
//!
//! `stage` starts the whole demo: the shops, and Burdock in front of them.

mod answer;
mod decisions;
mod page;
mod serve;
mod shop;
mod stage;

pub use decisions::Decisions;
pub use serve::serve;
pub use shop::{GOODS, Shop};
pub use stage::{Addresses, Process, Stage};
