//! What an engine may see of a client's bytes: the head of its request, then exactly its body, then nothing more until the next one.
//! What a client sends beyond that stays here, so that a pipelined or smuggled request cannot get past the strict reader.
//!
//! It holds bytes and counts them. It reads no socket, knows no time and answers nobody. A chunked body is read here and written
//! again plainly, in larger chunks and without extensions and trailers.

use burdock::http::h1::chunks::{Chunks, Piece};
use burdock::http::h1::fault::RequestFault;
use burdock::http::h1::head_end::HeadEnd;
use burdock::http::h1::length::BodyLength;
use bytes::{Buf, BufMut, BytesMut};

/// The most bytes of later requests that are read while one is served.
pub const MAX_AHEAD: usize = 16 * 1024;

/// The bytes of a connection that no engine has yet.
#[derive(Debug, Default)]
pub struct Gate {
    /// As they came, from the next request's or the body's first one.
    received: BytesMut,
    /// How far `received` has been searched for the end of a head.
    head_end: HeadEnd,
    /// To be given to the engine.
    ready: BytesMut,
    open_for: OpenFor,
}

/// Which bytes the engine may have beside those that are ready.
#[derive(Debug, Default)]
enum OpenFor {
    /// None: it has the whole request, or there is none.
    #[default]
    Nothing,
    /// So many bytes of a body.
    Body(u64),
    Chunks(Box<Chunks>),
    /// All of them: the connection has changed to another protocol.
    Everything,
}

/// Where the engine's next bytes come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// They are ready.
    Ready,
    /// Straight from the socket, so many at most.
    Socket { at_most: u64 },
    /// From the socket, to be received and read here first.
    Received,
    /// Nowhere: what comes now belongs to a later request.
    Later,
}

impl Gate {
    /// Adds bytes that the socket had.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// What was received and belongs to no request that an engine has.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Forgets what was received: nobody will read it.
    pub fn discard(&mut self) -> usize {
        let bytes = self.received.len();
        self.received = BytesMut::new();
        bytes
    }

    /// The length of the whole head that was received; none if it has not ended yet. Empty lines before a request are dropped
    /// (RFC 9112 2.2).
    ///
    /// # Errors
    /// A line end that readers differ in.
    pub fn head(&mut self) -> Result<Option<usize>, RequestFault> {
        const EMPTY_LINE: usize = 2;
        loop {
            let end = self.head_end.find(&self.received)?;
            if end != Some(EMPTY_LINE) {
                return Ok(end);
            }
            self.received.advance(EMPTY_LINE);
            self.head_end = HeadEnd::default();
        }
    }

    /// Takes a whole head of this length off what was received.
    pub fn take_head(&mut self, length: usize) -> BytesMut {
        self.head_end = HeadEnd::default();
        self.received.split_to(length)
    }

    /// Gives the engine a request with this head, whose body comes next.
    pub fn admit(&mut self, head: BytesMut, body: BodyLength) {
        self.ready = head;
        self.open_for = match body {
            BodyLength::None => OpenFor::Nothing,
            BodyLength::Known(length) => OpenFor::Body(length),
            BodyLength::Chunked => OpenFor::Chunks(Box::default()),
        };
    }

    /// The connection has changed to another protocol: there are no requests any more.
    pub fn open(&mut self) {
        self.open_for = OpenFor::Everything;
    }

    /// Whether more of a request's body must come from the client.
    pub fn expects_body(&self) -> bool {
        match &self.open_for {
            OpenFor::Body(left) => *left > 0,
            OpenFor::Chunks(chunks) => !chunks.has_ended(),
            OpenFor::Nothing | OpenFor::Everything => false,
        }
    }

    /// Finds the engine's next bytes, and makes ready what has been received of them.
    ///
    /// # Errors
    /// A malformed chunk.
    pub fn next(&mut self) -> Result<Source, RequestFault> {
        if self.ready.has_remaining() {
            return Ok(Source::Ready);
        }
        match &mut self.open_for {
            OpenFor::Nothing | OpenFor::Body(0) => return Ok(Source::Later),
            OpenFor::Body(left) if self.received.is_empty() => return Ok(Source::Socket { at_most: *left }),
            OpenFor::Body(left) => {
                let length = usize::try_from(*left).map_or(self.received.len(), |left| left.min(self.received.len()));
                *left -= length as u64;
                self.ready = self.received.split_to(length);
            }
            OpenFor::Chunks(chunks) => {
                if chunks.has_ended() {
                    return Ok(Source::Later);
                }
                let used = write_again(chunks, &self.received, &mut self.ready)?;
                self.received.advance(used);
                if self.ready.is_empty() {
                    return Ok(Source::Received);
                }
            }
            OpenFor::Everything if self.received.is_empty() => return Ok(Source::Socket { at_most: u64::MAX }),
            OpenFor::Everything => self.ready = self.received.split(),
        }
        Ok(Source::Ready)
    }

    /// Moves what is ready into `out`, as much as there is room for.
    pub fn give(&mut self, out: &mut impl BufMut) {
        let length = self.ready.len().min(out.remaining_mut());
        out.put_slice(&self.ready[..length]);
        self.ready.advance(length);
        if self.ready.is_empty() {
            // A connection that waits holds nothing.
            self.ready = BytesMut::new();
        }
    }

    /// The engine has got these bytes of a body straight from the socket.
    pub fn passed(&mut self, bytes: usize) {
        if let OpenFor::Body(left) = &mut self.open_for {
            *left = left.saturating_sub(bytes as u64);
        }
    }
}

/// Reads the chunks in `received` and writes their data as one chunk. Returns how many bytes of `received` were read.
fn write_again(chunks: &mut Chunks, received: &[u8], out: &mut BytesMut) -> Result<usize, RequestFault> {
    let mut input = received;
    let mut data = Vec::new();
    let ended = loop {
        match chunks.next(&mut input)? {
            Piece::Data(piece) => data.extend_from_slice(piece),
            Piece::More => break false,
            Piece::End => break true,
        }
    };
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(&data);
        out.extend_from_slice(b"\r\n");
    }
    if ended {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    Ok(received.len() - input.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that an engine gets now.
    fn given(gate: &mut Gate) -> (String, Result<Source, RequestFault>) {
        let mut out = Vec::new();
        loop {
            match gate.next() {
                Ok(Source::Ready) => gate.give(&mut out),
                other => return (String::from_utf8(out).unwrap(), other),
            }
        }
    }

    fn admitted(received: &str, body: BodyLength) -> Gate {
        let mut gate = Gate::default();
        gate.receive(received.as_bytes());
        let length = gate.head().unwrap().unwrap();
        let head = gate.take_head(length);
        gate.admit(head, body);
        gate
    }

    #[test]
    fn an_engine_sees_one_request_and_nothing_of_the_next() {
        let mut gate = admitted("\r\n\r\nGET /1 H\r\n\r\nGET /2 H\r\n\r\n", BodyLength::None);
        assert_eq!(given(&mut gate), ("GET /1 H\r\n\r\n".to_owned(), Ok(Source::Later)));
        assert_eq!(gate.head(), Ok(Some(12)));
        assert_eq!(gate.take_head(12), &b"GET /2 H\r\n\r\n"[..]);
        gate.admit(BytesMut::from("GET /zwei H\r\n\r\n"), BodyLength::None);
        assert_eq!(given(&mut gate), ("GET /zwei H\r\n\r\n".to_owned(), Ok(Source::Later)));
        assert!(gate.received().is_empty());
    }

    #[test]
    fn a_body_ends_after_its_length() {
        let mut gate = admitted("POST / H\r\n\r\nabc", BodyLength::Known(5));
        assert!(gate.expects_body());
        assert_eq!(given(&mut gate), ("POST / H\r\n\r\nabc".to_owned(), Ok(Source::Socket { at_most: 2 })));
        gate.passed(1);
        gate.receive(b"eGET");
        assert_eq!(given(&mut gate), ("e".to_owned(), Ok(Source::Later)));
        assert_eq!((gate.received(), gate.expects_body()), (&b"GET"[..], false));
    }

    #[test]
    fn chunks_are_gathered_and_written_plainly() {
        let mut gate = admitted("POST / H\r\n\r\n1;x=y\r\na\r\n01\r\nb\r\n2\r\nc", BodyLength::Chunked);
        assert_eq!(given(&mut gate), ("POST / H\r\n\r\n3\r\nabc\r\n".to_owned(), Ok(Source::Received)));
        gate.receive(b"d\r\n0\r\nDigest: x\r\n\r\nGET");
        assert_eq!(given(&mut gate), ("1\r\nd\r\n0\r\n\r\n".to_owned(), Ok(Source::Later)));
        assert_eq!(gate.received(), b"GET");
    }

    #[test]
    fn a_malformed_chunk_ends_the_request() {
        let mut gate = admitted("POST / H\r\n\r\n\r\n\r\nGET / H\r\n\r\n", BodyLength::Chunked);
        assert_eq!(given(&mut gate).1, Err(RequestFault::Chunk));
    }

    #[test]
    fn after_an_upgrade_everything_passes() {
        let mut gate = admitted("GET / H\r\n\r\nearly", BodyLength::None);
        assert_eq!(given(&mut gate).1, Ok(Source::Later));
        gate.open();
        gate.receive(b" bird");
        assert_eq!(given(&mut gate), ("early bird".to_owned(), Ok(Source::Socket { at_most: u64::MAX })));
    }
}
