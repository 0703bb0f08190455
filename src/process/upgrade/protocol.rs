//! What the two processes say to each other: kind 1 | length 4 (big-endian) | body. Kinds that are not known are skipped, and so
//! are unknown fields of a hello: either process may be the older one.

use std::io::{self, Read, Write};

use burdock::table::format::Header;
use serde::{Deserialize, Serialize};

use crate::control::handoff::ProcessHandoff;

/// Of what is said here. Another version is another language.
const VERSION: u32 = 1;
/// No body is longer: what is known of a million servers fits.
const MOST: usize = 512 << 20;

const HELLO: u8 = 1;
const TABLE: u8 = 2;
const BLOCKS: u8 = 3;
const COMPLETE: u8 = 4;
const PREPARED: u8 = 5;
const REFUSED: u8 = 6;
const SERVING: u8 = 7;
const HANDOFF: u8 = 8;

#[derive(Debug, PartialEq)]
pub enum Message {
    Hello(Hello),
    /// All but the tables. None: it cannot be understood.
    Handoff(Option<Box<ProcessHandoff>>),
    /// Of which table the next blocks are.
    Table(Header),
    /// As they stand in its files.
    Blocks(Vec<u8>),
    /// All tables have been told once; from now on there are changes only.
    Complete,
    /// Nothing is missing but the listening sockets.
    Prepared,
    /// The successor does not start, for this reason.
    Refused(String),
    /// It accepts.
    Serving,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    pub version: u32,
    pub burdock: String,
}

impl Hello {
    pub fn ours() -> Self {
        Self { version: VERSION, burdock: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// # Errors
    /// The other one speaks another language.
    pub fn check(&self) -> io::Result<()> {
        if self.version == VERSION {
            return Ok(());
        }
        let Self { version, burdock } = self;
        Err(invalid(format!("the other process, Burdock {burdock}, hands over by version {version}, this one by {VERSION}")))
    }
}

impl Message {
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Hello(hello) => send(to, HELLO, &serde_json::to_vec(hello)?),
            Self::Handoff(handoff) => send(to, HANDOFF, &serde_json::to_vec(handoff)?),
            Self::Table(header) => send(to, TABLE, &header.encode()),
            Self::Blocks(octets) => send(to, BLOCKS, octets),
            Self::Complete => send(to, COMPLETE, &[]),
            Self::Prepared => send(to, PREPARED, &[]),
            Self::Refused(reason) => send(to, REFUSED, reason.as_bytes()),
            Self::Serving => send(to, SERVING, &[]),
        }
    }

    /// None: a kind that is not known.
    fn decode(kind: u8, body: Vec<u8>) -> io::Result<Option<Self>> {
        Ok(Some(match kind {
            HELLO => Self::Hello(serde_json::from_slice(&body)?),
            HANDOFF => Self::Handoff(serde_json::from_slice(&body).unwrap_or_else(|error| {
                log::warn!("what the running process knows of its servers is not understood: {error}");
                None
            })),
            TABLE => Self::Table(Header::decode(&body).map_err(|error| invalid(error.to_string()))?.0),
            BLOCKS => Self::Blocks(body),
            COMPLETE => Self::Complete,
            PREPARED => Self::Prepared,
            REFUSED => Self::Refused(String::from_utf8_lossy(&body).into_owned()),
            SERVING => Self::Serving,
            _ => return Ok(None),
        }))
    }
}

/// Sends blocks of the table with this header, encoded already.
pub fn send_blocks(to: &mut impl Write, header: &[u8], blocks: &[u8]) -> io::Result<()> {
    send(to, TABLE, header)?;
    send(to, BLOCKS, blocks)
}

fn send(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= MOST);
    let length = length.ok_or_else(|| invalid("too much at once".to_owned()))?;
    let [a, b, c, d] = length.to_be_bytes();
    to.write_all(&[kind, a, b, c, d])?;
    to.write_all(body)
}

/// The next message that is understood.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] at the end.
pub fn read(from: &mut impl Read) -> io::Result<Message> {
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST {
            return Err(invalid(format!("a message of {length} octets")));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        if let Some(message) = Message::decode(kind, body)? {
            return Ok(message);
        }
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use burdock::session::fingerprint_key::FingerprintKeyId;
    use burdock::table::TableName;

    use super::*;

    #[test]
    fn what_is_sent_is_read_and_what_is_not_known_is_skipped() {
        let header = Header { table: TableName::parse("t").unwrap(), key: FingerprintKeyId(*b"01234567") };
        let mut octets = Vec::new();
        Message::Hello(Hello::ours()).send(&mut octets).unwrap();
        send(&mut octets, 99, b"of a later version").unwrap();
        send_blocks(&mut octets, &header.encode(), b"blocks").unwrap();
        for message in [Message::Complete, Message::Prepared, Message::Refused("no".into()), Message::Serving] {
            message.send(&mut octets).unwrap();
        }
        let mut rest = &octets[..];
        let read: Vec<Message> = std::iter::from_fn(|| read(&mut rest).ok()).collect();
        let blocks = Message::Blocks(b"blocks".to_vec());
        let first = [Message::Hello(Hello::ours()), Message::Table(header), blocks];
        let last = [Message::Complete, Message::Prepared, Message::Refused("no".into()), Message::Serving];
        assert!(read.iter().eq(first.iter().chain(&last)), "{read:?}");
    }

    #[test]
    fn a_hello_may_grow_and_another_version_is_refused() {
        let hello: Hello = serde_json::from_str(r#"{"version": 2, "burdock": "9.9", "more": []}"#).unwrap();
        assert!(hello.check().unwrap_err().to_string().contains("9.9"));
        assert!(Hello::ours().check().is_ok());
    }

    #[test]
    fn a_length_beyond_all_messages_asks_for_no_memory() {
        assert_eq!(read(&mut &[3, 255, 255, 255, 255][..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
