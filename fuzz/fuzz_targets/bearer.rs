//! Any bearer token can be read, and the claim read from it is the one that serde_json finds.
#![no_main]

use base64_simd::URL_SAFE_NO_PAD;
use burdock::source::bearer::claim;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (header, json) = input;
    let _ = claim(header, "a");
    let token = format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode_to_string(json));
    let Some(text) = claim(token.as_bytes(), "a") else { return };
    // Like `claim`, serde_json keeps the last of two members of one name. It may refuse what `claim` skips: strings that are not
    // UTF-8 and numbers that are too large.
    if let Ok(claims) = serde_json::from_slice::<Value>(json) {
        match &claims["a"] {
            Value::String(found) => assert_eq!(*found, text),
            Value::Number(found) => assert_eq!(found.to_string(), text),
            other => panic!("{other} was read as {text:?}"),
        }
    }
});
