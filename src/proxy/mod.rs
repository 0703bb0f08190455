//! Pingora's hooks: each translates, calls a step of `serve`, and applies what it says.

pub mod gateway;
