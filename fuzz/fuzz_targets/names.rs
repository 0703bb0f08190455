//! Taking names from paths and bodies of the admin API, from stored state and from the configuration is total, and a name that was
//! taken says itself again.
#![no_main]

use std::fmt::Display;

use burdock::session::fingerprint::Prefix;
use burdock::table::TableName;
use burdock::upstream::discovery::DnsName;
use burdock::upstream::spec::Address;
use burdock::upstream::{ServerId, UpstreamName};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    again(text, UpstreamName::parse);
    again(text, TableName::parse);
    again(text, Address::parse);
    again(text, DnsName::parse);
    again(text, str::parse::<Prefix>);
    if let Some(id) = again(text, ServerId::parse) {
        // Ids stand in cookies and headers.
        assert!(HeaderValue::from_str(&id).is_ok());
    }
});

fn again<T: Display + PartialEq + std::fmt::Debug, E: Display>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<String> {
    let taken = match parse(text) {
        Ok(taken) => taken,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let shown = taken.to_string();
    assert!(parse(&shown).is_ok_and(|again| again == taken), "{text:?} says {shown:?}");
    Some(shown)
}
