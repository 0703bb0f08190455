//! The Pingora proxy: its hooks call the steps of `serve`.

pub mod gateway;
mod headers;
mod session;
