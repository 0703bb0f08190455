//! Opening a token is total: any octets are either a token that was sealed or not.
#![no_main]

mod common;

use std::sync::{Arc, LazyLock};

use burdock::token::sealed::{Context, Kind, SealedFormat};
use burdock::token::plain;
use libfuzzer_sys::fuzz_target;

static FORMAT: LazyLock<SealedFormat> = LazyLock::new(|| {
    SealedFormat::new(Arc::new(common::ring()), Context { kind: Kind::Cookie, scope: "shop", entry: "BURDOCK_shop" })
});

fuzz_target!(|octets: &[u8]| {
    // Nobody who does not hold the key makes a token, a fuzzer included.
    assert!(FORMAT.open(octets).is_err());
    let _ = plain::open(octets);
});
