//! `sticky` and `affinity` of an upstream: how its sessions are tied to servers, and how servers take part in that.

mod cookie;
pub mod entries;
mod hash;
mod header;
mod learn;
mod lifetime;
mod method_text;
mod route;
