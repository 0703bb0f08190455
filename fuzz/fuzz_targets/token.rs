//! Opening a token is total: any octets are either a token that was sealed or not.
#![no_main]

use std::sync::{Arc, LazyLock};

use burdock::sticky::token::keys::{Key, KeyRing};
use burdock::sticky::token::sealed::{Context, SealedFormat};
use burdock::sticky::token::{Kind, plain};
use libfuzzer_sys::fuzz_target;

static FORMAT: LazyLock<SealedFormat> = LazyLock::new(|| {
    let key = Key::parse(&"17".repeat(32)).expect("a key");
    let keys = Arc::new(KeyRing::new(vec![key]).expect("a ring"));
    SealedFormat::new(keys, Context { kind: Kind::Cookie, scope: "shop", entry: "BURDOCK_shop" })
});

fuzz_target!(|octets: &[u8]| {
    // Nobody who does not hold the key makes a token, a fuzzer included.
    assert!(FORMAT.open(octets).is_err());
    let _ = plain::open(octets);
});
