//! The session's own types, independent of what carries or stores a session: one file per concept that the layers above share.
//! It knows no token format, table, persistence method or upstream.

pub mod claim;
pub mod clock_steps;
pub mod estimate;
pub mod fingerprint;
pub mod fingerprint_key;
pub mod foreign_format;
pub mod lifetime;
pub mod load_factor;
pub mod name;
pub mod named_secret;
pub mod number;
pub mod scope;
pub mod secret;
pub mod server_ref;
pub mod server_tag;
pub mod stamps;
pub mod tie;
pub mod token_format;
