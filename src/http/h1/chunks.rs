//! A chunked body (RFC 9112 7.1), read strictly and in pieces: sizes, extensions, data, trailers. It keeps no data.

use super::fault::RequestFault;
use super::fields;
use super::head_end::HeadEnd;

/// The longest size line with its extensions, in bytes.
const MAX_SIZE_LINE: usize = 1024;

/// The longest trailer section, in bytes.
const MAX_TRAILERS: usize = 16 * 1024;

/// How far a chunked body has been read.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    /// The chunk's size so far, then the rest of its data.
    left: u64,
    /// The length of the size line so far.
    line: usize,
    /// The trailer section, with its empty line at the end.
    trailers: Vec<u8>,
    trailers_end: HeadEnd,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before the first digit.
    Size,
    Digits,
    /// White space behind the digits, which only an extension may follow.
    Space,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailers,
    Ended,
}

/// What comes next.
#[derive(Debug, Eq, PartialEq)]
pub enum Piece<'b> {
    /// Bytes of the body.
    Data(&'b [u8]),
    /// All of the input is read.
    More,
    /// The body has ended, and its trailers are valid; the rest of the input is not its own.
    End,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size, left: 0, line: 0, trailers: Vec::new(), trailers_end: HeadEnd::default() }
    }
}

impl Chunks {
    /// Reads the next piece, and takes what it has read off the input.
    ///
    /// # Errors
    /// A byte that no strict reader takes there.
    pub fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Piece<'b>, RequestFault> {
        loop {
            match self.state {
                State::Ended => return Ok(Piece::End),
                State::Data if !input.is_empty() => return Ok(Piece::Data(self.take_data(input))),
                State::Trailers if !input.is_empty() => self.read_trailers(input)?,
                State::Size
                | State::Digits
                | State::Space
                | State::Extension
                | State::SizeLineFeed
                | State::Data
                | State::DataReturn
                | State::DataLineFeed
                | State::Trailers => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(Piece::More) };
                    *input = rest;
                    self.state = self.step(byte)?;
                }
            }
        }
    }

    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn take_data<'b>(&mut self, input: &mut &'b [u8]) -> &'b [u8] {
        let length = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let (data, rest) = input.split_at(length);
        *input = rest;
        self.left -= length as u64;
        if self.left == 0 {
            self.state = State::DataReturn;
        }
        data
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, RequestFault> {
        self.line += 1;
        if self.line > MAX_SIZE_LINE {
            return Err(RequestFault::Chunk);
        }
        match (self.state, byte) {
            (State::Size | State::Digits, _) if byte.is_ascii_hexdigit() => self.add_digit(byte),
            (State::Digits | State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Digits | State::Space, b';') => Ok(State::Extension),
            (State::Digits | State::Space, b' ' | b'\t') => Ok(State::Space),
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Extension),
            (State::SizeLineFeed, b'\n') => Ok(self.size_ended()),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => {
                self.line = 0;
                Ok(State::Size)
            }
            (_, _) => Err(RequestFault::Chunk),
        }
    }

    fn add_digit(&mut self, byte: u8) -> Result<State, RequestFault> {
        let digit = char::from(byte).to_digit(16).ok_or(RequestFault::Chunk)?;
        // Sixteen digits are 64 bits: no more, not even zeros, and below 2^63.
        if self.line > 16 || self.left >> 59 != 0 {
            return Err(RequestFault::Chunk);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Digits)
    }

    fn size_ended(&mut self) -> State {
        self.line = 0;
        if self.left == 0 { State::Trailers } else { State::Data }
    }

    /// Gathers the trailer section; once it is whole, checks it like the lines of a head.
    fn read_trailers(&mut self, input: &mut &[u8]) -> Result<(), RequestFault> {
        let before = self.trailers.len();
        let room = (MAX_TRAILERS - before).min(input.len());
        self.trailers.extend_from_slice(&input[..room]);
        let end = self.trailers_end.find(&self.trailers).map_err(|_| RequestFault::Trailers)?;
        match end {
            Some(end) => {
                self.trailers.truncate(end);
                *input = &input[end - before..];
                fields::read(&self.trailers, |_| Ok(())).map_err(|_| RequestFault::Trailers)?;
                self.state = State::Ended;
            }
            None if room < input.len() || self.trailers.len() == MAX_TRAILERS => return Err(RequestFault::Trailers),
            None => *input = &input[room..],
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body, and the bytes behind it.
    fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(Vec<u8>, Option<Vec<u8>>), RequestFault> {
        let (mut chunks, mut body, mut rest) = (Chunks::default(), Vec::new(), None::<Vec<u8>>);
        for piece in pieces {
            let mut input = piece;
            if let Some(rest) = &mut rest {
                rest.extend_from_slice(piece);
                continue;
            }
            loop {
                match chunks.next(&mut input)? {
                    Piece::Data(data) => body.extend_from_slice(data),
                    Piece::More => break,
                    Piece::End => {
                        rest = Some(input.to_vec());
                        break;
                    }
                }
            }
        }
        Ok((body, rest))
    }

    fn whole(body: &str) -> Result<(String, Option<String>), RequestFault> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        read([body.as_bytes()]).map(|(body, rest)| (text(body), rest.map(text)))
    }

    #[test]
    fn a_body_is_the_data_of_its_chunks() {
        for (sent, body, rest) in [
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", Some("GET")),
            ("0\r\n\r\n", "", Some("")),
            ("A;x=\"y\";z\r\n0123456789\r\n00\r\nDigest: a\r\nX:\r\n\r\n", "0123456789", Some("")),
            ("1 ;x\r\na\r\n1\t;x\r\nb\r\n0\r\n\r\n", "ab", Some("")),
            ("5\r\nhel", "hel", None),
            ("5\r\nhello\r\n0\r\nA: b\r\n", "hello", None),
        ] {
            assert_eq!(whole(sent), Ok((body.to_owned(), rest.map(str::to_owned))), "{sent:?}");
        }
    }

    #[test]
    fn what_readers_differ_in_is_a_fault() {
        for sent in [
            "\r\n\r\n",
            ";x\r\n\r\n",
            " \r\n\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5;x\nhello\r\n",
            "5;x\r\r\nhello\r\n",
            "+5\r\n",
            "-1\r\n",
            "0x5\r\n",
            "5\nhello",
            "g\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n",
            "5\r\nhello\r\r\n",
            "5,\r\n",
            "5\0\r\n",
            "00000000000000005\r\n",
            "8000000000000000\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "10000000000000000\r\n",
        ] {
            assert_eq!(whole(sent), Err(RequestFault::Chunk), "{sent:?}");
        }
        for trailers in [
            "0\r\ngarbage\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nA: b\r\n c\r\n\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(whole(trailers), Err(RequestFault::Trailers), "{trailers:?}");
        }
    }

    #[test]
    fn size_lines_and_trailers_are_bounded() {
        assert_eq!(whole(&format!("5;{}", "x".repeat(MAX_SIZE_LINE))), Err(RequestFault::Chunk));
        assert_eq!(whole(&format!("0\r\nA: {}", "x".repeat(MAX_TRAILERS))), Err(RequestFault::Trailers));
        assert!(whole(&format!("5;{}\r\nhello\r\n0\r\nA: {}\r\n\r\n", "x".repeat(900), "x".repeat(16_000))).is_ok());
    }

    proptest! {
        #[test]
        fn pieces_read_like_the_whole(body in "([0-3a;: \r\n]|1\r\na\r\n|0\r\n\r\n|0\r\nA: b\r\n\r\n){0,12}", size in 1..5usize) {
            prop_assert_eq!(read(body.as_bytes().chunks(size)), read([body.as_bytes()]));
        }

        #[test]
        fn what_is_written_is_read(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), size in 1..50usize) {
            let mut sent = Vec::new();
            for piece in &pieces {
                sent.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                sent.extend_from_slice(piece);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\nnext");
            prop_assert_eq!(read(sent.chunks(size)), Ok((pieces.concat(), Some(b"next".to_vec()))));
        }
    }
}
