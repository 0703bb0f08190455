//! Any bytes can be opened as a token, and bytes that were not sealed never open.
#![no_main]

mod common;

use std::sync::{Arc, LazyLock};

use burdock::token::sealed::{Context, Kind, SealedFormat};
use burdock::token::plain;
use libfuzzer_sys::fuzz_target;

static FORMAT: LazyLock<SealedFormat> = LazyLock::new(|| {
    SealedFormat::new(Arc::new(common::ring()), Context { kind: Kind::Cookie, scope: "shop", entry: "BURDOCK_shop" })
});

fuzz_target!(|input: &[u8]| {
    // Without the key no one can make a token, not even a fuzzer.
    assert!(FORMAT.open(input).is_err());
    let _ = plain::open(input);
});
