//! `sticky` and `affinity` of an upstream: what ties its sessions to servers, and what servers hear and say of it.

mod cookie;
pub mod entries;
mod hash;
mod header;
mod learn;
mod lifetime;
mod method_text;
mod route;
