//! The names that another proxy had for our servers, and what those names are made of.

use std::collections::HashMap;

use super::opened::Opened;
use crate::ids::ServerId;

/// Text → server.
#[derive(Debug, Default)]
pub(crate) struct Servers(HashMap<Box<[u8]>, ServerId, rustc_hash::FxBuildHasher>);

impl Servers {
    /// A name that is taken stays with its first server.
    pub(crate) fn add(&mut self, name: String, server: &ServerId) {
        self.0.entry(name.into_bytes().into()).or_insert_with(|| server.clone());
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&ServerId> {
        self.0.get(name)
    }

    /// What a value says that is a server's name and nothing else. `shape` tells whether it is this proxy's in any case.
    pub(crate) fn open<'v>(&self, name: &[u8], shape: impl FnOnce(&[u8]) -> bool) -> Opened<'_, 'v> {
        match self.find(name) {
            Some(server) => Opened::Server { server, stamps: None, rest: None },
            None if shape(name) => Opened::Stranger { rest: None },
            None => Opened::NotMine,
        }
    }
}

pub(crate) fn md5_hex(text: &str) -> String {
    format!("{:x}", md5::compute(text))
}

/// Two characters for each octet.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whether it is this many hexadecimal digits, as programs write them.
pub(crate) fn is_hex(text: &[u8], digits: usize) -> bool {
    text.len() == digits && text.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
