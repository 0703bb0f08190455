//! The messages between the two processes: kind 1 | length 4 (big-endian) | body. Unknown kinds and unknown fields of a hello are
//! skipped: either process may run the older version.

use std::io::{self, Read, Write};

use burdock::table::format::Header;
use serde::{Deserialize, Serialize};

use crate::control::handoff::ProcessHandoff;

/// The version of this protocol. Different versions are incompatible.
const VERSION: u32 = 1;
/// The longest body: the state of a million servers fits.
const MAX_BODY: usize = 512 << 20;

const HELLO: u8 = 1;
const TABLE: u8 = 2;
const BLOCKS: u8 = 3;
const COMPLETE: u8 = 4;
const PREPARED: u8 = 5;
const REFUSED: u8 = 6;
const SERVING: u8 = 7;
const HANDOFF: u8 = 8;
const MARK: u8 = 9;
const ACK: u8 = 10;
const STATE: u8 = 11;
const IDLE: u8 = 12;

#[derive(Debug, PartialEq)]
pub enum Message {
    Hello(Hello),
    /// The process's state except the tables. None: it could not be decoded.
    Handoff(Option<Box<ProcessHandoff>>),
    /// The table of the next blocks.
    Table(Header),
    /// Blocks in the file format.
    Blocks(Vec<u8>),
    /// All tables have been sent once; from now on only changes follow.
    Complete,
    /// The successor needs only the listening sockets.
    Prepared,
    /// The successor cannot start, for this reason.
    Refused(String),
    /// The successor accepts connections.
    Serving,
    /// Asks for [`Self::Ack`] with the same number when everything before it is applied.
    Mark(u64),
    Ack(u64),
    /// The sender's overrides and state of servers, as they are now.
    State(Box<ProcessHandoff>),
    /// The sender takes no more requests and needs no more changes.
    Idle,
}

/// How two processes exchange changes of session tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exchange {
    /// Both send what they decide and acknowledge what they receive.
    BothWays,
    /// Only the old process sends, as one of the two is of an older version.
    OneWay,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    pub version: u32,
    pub burdock: String,
    /// Whether it exchanges changes both ways. Earlier versions do not say.
    #[serde(default)]
    pub both_ways: bool,
}

impl Hello {
    pub fn ours() -> Self {
        Self { version: VERSION, burdock: env!("CARGO_PKG_VERSION").to_owned(), both_ways: true }
    }

    /// How to exchange changes with the process that said this.
    pub fn exchange(&self) -> Exchange {
        if self.both_ways {
            return Exchange::BothWays;
        }
        log::warn!(
            "the other process, Burdock {}, sends or receives changes of session tables only one way: learned sessions that begin \
             during this upgrade may move",
            self.burdock
        );
        Exchange::OneWay
    }

    /// # Errors
    /// The other process uses another protocol version.
    pub fn check(&self) -> io::Result<()> {
        if self.version == VERSION {
            return Ok(());
        }
        let Self { version, burdock, .. } = self;
        Err(invalid(format!(
            "the other process, Burdock {burdock}, uses handover protocol {version}, this one uses {VERSION}"
        )))
    }
}

impl Message {
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Hello(hello) => send(to, HELLO, &serde_json::to_vec(hello)?),
            Self::Handoff(handoff) => send(to, HANDOFF, &serde_json::to_vec(handoff)?),
            Self::Table(header) => send(to, TABLE, &header.encode()),
            Self::Blocks(bytes) => send(to, BLOCKS, bytes),
            Self::Complete => send(to, COMPLETE, &[]),
            Self::Prepared => send(to, PREPARED, &[]),
            Self::Refused(reason) => send(to, REFUSED, reason.as_bytes()),
            Self::Serving => send(to, SERVING, &[]),
            Self::Mark(number) => send(to, MARK, &number.to_be_bytes()),
            Self::Ack(number) => send(to, ACK, &number.to_be_bytes()),
            Self::State(state) => send(to, STATE, &serde_json::to_vec(state)?),
            Self::Idle => send(to, IDLE, &[]),
        }
    }

    /// None: an unknown kind.
    fn decode(kind: u8, body: Vec<u8>) -> io::Result<Option<Self>> {
        Ok(Some(match kind {
            HELLO => Self::Hello(serde_json::from_slice(&body)?),
            HANDOFF => Self::Handoff(serde_json::from_slice(&body).unwrap_or_else(|error| {
                log::warn!("cannot decode the state of the running process: {error}");
                None
            })),
            TABLE => Self::Table(Header::decode(&body).map_err(|error| invalid(error.to_string()))?.0),
            BLOCKS => Self::Blocks(body),
            COMPLETE => Self::Complete,
            PREPARED => Self::Prepared,
            REFUSED => Self::Refused(String::from_utf8_lossy(&body).into_owned()),
            SERVING => Self::Serving,
            MARK => Self::Mark(number(&body)?),
            ACK => Self::Ack(number(&body)?),
            STATE => match serde_json::from_slice(&body) {
                Ok(state) => Self::State(state),
                Err(error) => {
                    log::warn!("cannot decode the state of the other process: {error}");
                    return Ok(None);
                }
            },
            IDLE => Self::Idle,
            _ => return Ok(None),
        }))
    }
}

/// Sends blocks of the table with this encoded header.
pub fn send_blocks(to: &mut impl Write, header: &[u8], blocks: &[u8]) -> io::Result<()> {
    send(to, TABLE, header)?;
    send(to, BLOCKS, blocks)
}

fn number(body: &[u8]) -> io::Result<u64> {
    let bytes = body.first_chunk().ok_or_else(|| invalid("a number is missing".to_owned()))?;
    Ok(u64::from_be_bytes(*bytes))
}

fn send(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= MAX_BODY);
    let length = length.ok_or_else(|| invalid("message too long".to_owned()))?;
    let [a, b, c, d] = length.to_be_bytes();
    to.write_all(&[kind, a, b, c, d])?;
    to.write_all(body)
}

/// Reads the next known message.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] at the end.
pub fn read(from: &mut impl Read) -> io::Result<Message> {
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_BODY {
            return Err(invalid(format!("a message of {length} bytes")));
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
    fn messages_are_read_as_sent_and_unknown_kinds_skipped() {
        let header = Header { table: TableName::parse("t").unwrap(), key: FingerprintKeyId(*b"01234567") };
        let mut bytes = Vec::new();
        Message::Hello(Hello::ours()).send(&mut bytes).unwrap();
        send(&mut bytes, 99, b"of a later version").unwrap();
        send_blocks(&mut bytes, &header.encode(), b"blocks").unwrap();
        let others = || {
            let state = ProcessHandoff { addresses: vec!["127.0.0.1:1".parse().unwrap()], ..ProcessHandoff::default() };
            let numbered = [Message::Mark(7), Message::Ack(u64::MAX), Message::State(Box::new(state)), Message::Idle];
            let plain = [Message::Complete, Message::Prepared, Message::Refused("no".into()), Message::Serving];
            plain.into_iter().chain(numbered)
        };
        others().for_each(|message| message.send(&mut bytes).unwrap());
        let mut rest = &bytes[..];
        let read: Vec<Message> = std::iter::from_fn(|| read(&mut rest).ok()).collect();
        let blocks = Message::Blocks(b"blocks".to_vec());
        let first = [Message::Hello(Hello::ours()), Message::Table(header), blocks];
        assert!(read.into_iter().eq(first.into_iter().chain(others())));
    }

    #[test]
    fn a_hello_may_grow_but_another_version_is_rejected() {
        let hello: Hello = serde_json::from_str(r#"{"version": 2, "burdock": "9.9", "more": []}"#).unwrap();
        assert!(hello.check().unwrap_err().to_string().contains("9.9"));
        assert!(Hello::ours().check().is_ok());
        assert_eq!((hello.exchange(), Hello::ours().exchange()), (Exchange::OneWay, Exchange::BothWays));
    }

    #[test]
    fn an_oversized_message_is_rejected_without_allocation() {
        assert_eq!(read(&mut &[3, 255, 255, 255, 255][..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
