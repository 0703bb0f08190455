//! The names that another proxy had for our servers, and the helpers that compute them.

use std::collections::HashMap;

use super::opened::Opened;
use crate::ids::ServerId;

/// Text → server.
#[derive(Debug, Default)]
pub(crate) struct Servers(HashMap<Box<[u8]>, ServerId, rustc_hash::FxBuildHasher>);

impl Servers {
    /// A name stays with the first server that has it.
    pub(crate) fn add(&mut self, name: String, server: &ServerId) {
        self.0.entry(name.into_bytes().into()).or_insert_with(|| server.clone());
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&ServerId> {
        self.0.get(name)
    }

    /// Reads a value that is nothing but a server's name. `shape` tells whether an unknown name has this proxy's form.
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

/// Two characters for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the text is exactly this many lowercase hexadecimal digits.
pub(crate) fn is_hex(text: &[u8], digits: usize) -> bool {
    text.len() == digits && text.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
