//! What a session is, whatever carries or stores it: numbers, names, stamps, lifetimes, ties, claims, secrets. It knows no
//! token's format, no table and no method.

pub mod claim;
pub mod estimate;
pub mod lifetime;
pub mod secret;
