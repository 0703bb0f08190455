//! Any text can be parsed as a name, as the admin API, stored state and the configuration do, and a parsed name is shown as text that
//! parses to the same name.
#![no_main]

use std::fmt::Display;

use burdock::session::fingerprint::Prefix;
use burdock::table::TableName;
use burdock::upstream::discovery::DnsName;
use burdock::upstream::spec::Address;
use burdock::ids::{ServerId, UpstreamName};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    round_trip(text, UpstreamName::parse);
    round_trip(text, TableName::parse);
    round_trip(text, Address::parse);
    round_trip(text, DnsName::parse);
    round_trip(text, str::parse::<Prefix>);
    if let Some(id) = round_trip(text, ServerId::parse) {
        // Ids appear in cookies and headers.
        assert!(HeaderValue::from_str(&id).is_ok());
    }
});

fn round_trip<T: Display + PartialEq + std::fmt::Debug, E: Display>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<String> {
    let name = match parse(text) {
        Ok(name) => name,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let shown = name.to_string();
    assert!(parse(&shown).is_ok_and(|parsed| parsed == name), "{text:?} is shown as {shown:?}");
    Some(shown)
}
