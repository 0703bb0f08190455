//! The body of a response, from a server to a client: by length, in chunks, or until the connection ends. A client of HTTP/1.1 gets
//! chunks where there is no length. One buffer of 16 KiB at a time is under way, so a slow client slows its server down.

use ::http::header::TRANSFER_ENCODING;
use ::http::{HeaderMap, Method, StatusCode};
use burdock::http::h1::chunks::{Chunks, Piece};
use burdock::http::h1::response_head;
use tokio::io::AsyncWriteExt;

use super::server_stream::{Fault, ServerStream};
use crate::client::client_stream::ClientStream;

/// How a response's body ends.
#[derive(Debug)]
pub enum Body {
    None,
    /// In bytes, as many as are left.
    Length(u64),
    Chunks(Chunks),
    /// With the connection.
    Connection,
}

/// Why a body did not reach its client.
#[derive(Debug)]
pub enum Broken {
    Server(Fault),
    Client,
}

impl Body {
    /// By the headers of a response that has been judged.
    pub fn of(status: StatusCode, method: &Method, headers: &HeaderMap) -> Self {
        if *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            Self::None
        } else if headers.contains_key(TRANSFER_ENCODING) {
            Self::Chunks(Chunks::default())
        } else {
            response_head::length(headers).map_or(Self::Connection, Self::Length)
        }
    }

    /// Sends `head` and then the body. Counts the body's bytes in `sent`.
    pub async fn forward(
        &mut self,
        mut out: Vec<u8>,
        server: &mut ServerStream,
        client: &mut ClientStream,
        sent: &mut u64,
    ) -> Result<(), Broken> {
        let mut ended = self.take(&mut server.ahead, &mut out, sent).map_err(Broken::Server)?;
        loop {
            client.write_all(&out).await.map_err(|_| Broken::Client)?;
            if ended {
                return client.flush().await.map_err(|_| Broken::Client);
            }
            client.flush().await.map_err(|_| Broken::Client)?;
            out.clear();
            ended = match server.read(client).await {
                Ok(0) => self.end_with_connection(&mut out)?,
                Ok(_) => self.take(&mut server.ahead, &mut out, sent).map_err(Broken::Server)?,
                Err(Fault::ClientLeft) => return Err(Broken::Client),
                Err(fault) => return Err(Broken::Server(fault)),
            };
        }
    }

    /// Moves what has come of the body to `out`. Returns whether that was all of it.
    fn take(&mut self, ahead: &mut Vec<u8>, out: &mut Vec<u8>, sent: &mut u64) -> Result<bool, Fault> {
        match self {
            Self::None => Ok(true),
            Self::Length(left) => {
                let length = usize::try_from(*left).map_or(ahead.len(), |left| left.min(ahead.len()));
                out.extend(ahead.drain(..length));
                *left -= length as u64;
                *sent += length as u64;
                Ok(*left == 0)
            }
            Self::Chunks(chunks) => {
                let (mut input, mut data) = (&ahead[..], Vec::new());
                let ended = loop {
                    match chunks.next(&mut input).map_err(|fault| Fault::Malformed(fault.to_string()))? {
                        Piece::Data(piece) => data.extend_from_slice(piece),
                        Piece::More => break false,
                        Piece::End => break true,
                    }
                };
                let used = ahead.len() - input.len();
                ahead.drain(..used);
                write_chunk(&data, out, sent);
                if ended {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                Ok(ended)
            }
            Self::Connection => {
                write_chunk(ahead, out, sent);
                ahead.clear();
                Ok(false)
            }
        }
    }

    /// The server has ended the connection: that ends a body without a length, and breaks any other.
    fn end_with_connection(&self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        match self {
            Self::Connection => {
                out.extend_from_slice(b"0\r\n\r\n");
                Ok(true)
            }
            Self::None | Self::Length(_) | Self::Chunks(_) => {
                Err(Broken::Server(Fault::Closed(std::io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }
}

fn write_chunk(data: &[u8], out: &mut Vec<u8>, sent: &mut u64) {
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        *sent += data.len() as u64;
    }
}
