//! Any text can be read as a configuration, and errors can always be shown.
#![no_main]

use burdock::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(errors) = Config::parse("fuzz.yaml", text) {
        assert!(!errors.to_string().is_empty());
    }
});
