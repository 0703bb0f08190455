//! The steps of a request, as functions that an engine calls: receive, place, edit, settle, record.

pub mod confirm;
pub mod context;
pub mod edit;
pub mod failure;
pub mod generation;
pub mod message;
pub mod place;
pub mod receive;
pub mod reply;
pub mod state;
pub mod untrusted_proxies;
