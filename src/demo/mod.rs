//! The demo shop: a small web application that keeps its customers' carts in its own memory only, so that it matters which
//! server a customer gets. It stands behind Burdock and knows nothing of it, but for the access log it may be told to show.
//!
//! `stage` puts the whole demo up: the shops, and Burdock before them.

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
