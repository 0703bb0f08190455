//! Setup that several targets share: a balancer with a configuration.
#![allow(dead_code, reason = "not every target uses all of it")]

use std::time::Duration;

use burdock::balancer::Balancer;
use burdock::balancer::spec::Plan;
use burdock::config::Config;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::token::keys::{Key, KeyRing};
use burdock::session::named_secret::{NamedSecret, SecretSource};
use burdock::sticky::secrets::Secrets;
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub const NOW: Now = Now { wall: UnixSeconds(1_800_000_000), subsec_millis: 0, uptime: Uptime(Duration::from_secs(60)), skipped: Skipped::NONE };

pub fn ring() -> KeyRing {
    KeyRing::new(vec![Key::parse(&"17".repeat(32)).expect("a key")]).expect("a ring")
}

pub fn secrets<const N: usize>(others: [(SecretSource, NamedSecret); N]) -> Secrets {
    Secrets::new(ring(), FingerprintKey::parse(&"5e".repeat(32)).expect("a key"), others)
}

pub fn plan(text: &str) -> Plan {
    Config::parse("fuzz.yaml", text).unwrap_or_else(|errors| panic!("{errors}")).plan
}

pub fn balancer(plan: Plan, earlier: Option<&Balancer>) -> Balancer {
    Balancer::new(plan, &secrets([]), earlier, NOW).unwrap_or_else(|error| panic!("{error}"))
}

/// The value written as JSON and read back.
pub fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_vec(value).expect("the value can be written");
    serde_json::from_slice(&text).expect("the written value can be read")
}
