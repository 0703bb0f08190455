//! The documents against the sources: everything that they list exists, and everything that exists is listed. Only readers can judge
//! whether it is explained well.
#![allow(clippy::unwrap_used, reason = "a test may panic where it fails")]

mod licenses;
mod pages;
mod reference;
mod text;
