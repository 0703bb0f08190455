//! What a session is, whatever carries or stores it: one file for each word that the layers above share. It knows no token's
//! format, no table, no method and no upstream.

pub mod claim;
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
