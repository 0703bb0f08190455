//! A connection to a server during one exchange: what is read ahead, the time limits, and the client who may leave meanwhile.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use burdock::http::h1::head_end::HeadEnd;
use burdock::upstream::spec::Timeouts;
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::client::client_stream::ClientStream;

/// The bytes that are read from a server at once.
const READ_SIZE: usize = 16 * 1024;

/// The longest head of a response, in bytes.
const MAX_HEAD: usize = 1024 * 1024;

/// Why a server's part of an exchange ended.
#[derive(Debug)]
pub enum Fault {
    /// The connection ended or broke.
    Closed(io::Error),
    Silent,
    Malformed(String),
    /// Not the server's: the client is gone.
    ClientLeft,
}

/// A connection to a server.
pub struct ServerStream {
    pub stream: Stream,
    pub timeouts: Timeouts,
    /// What came from the server and was not used yet.
    pub ahead: Vec<u8>,
}

impl ServerStream {
    pub fn new(stream: Stream, timeouts: Timeouts) -> Self {
        Self { stream, timeouts, ahead: Vec::new() }
    }

    /// Sends a whole request.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let stream = &mut self.stream;
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match tokio::time::timeout(self.timeouts.write, sent).await {
            Ok(sent) => sent.map_err(Fault::Closed),
            Err(_) => Err(Fault::Silent),
        }
    }

    /// The next head, with its empty line.
    pub async fn head(&mut self, client: &mut ClientStream) -> Result<Vec<u8>, Fault> {
        let mut scan = HeadEnd::default();
        loop {
            let end = scan.find(&self.ahead).map_err(|fault| Fault::Malformed(fault.to_string()))?;
            if let Some(end) = end {
                let rest = self.ahead.split_off(end);
                return Ok(std::mem::replace(&mut self.ahead, rest));
            }
            if self.ahead.len() > MAX_HEAD {
                return Err(Fault::Malformed("the server's header block is over 1 MiB".to_owned()));
            }
            if self.read(client).await? == 0 {
                return Err(Fault::Closed(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads more behind what is there. 0: the server has ended the connection.
    pub async fn read(&mut self, client: &mut ClientStream) -> Result<usize, Fault> {
        let limit = self.timeouts.read;
        let read = poll_fn(|cx| self.poll_read(cx, client));
        within(limit, read).await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, client: &mut ClientStream) -> Poll<Result<usize, Fault>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.ahead.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Fault::Closed(error))),
            Poll::Pending => poll_left(cx, client).map(|()| Err(Fault::ClientLeft)),
        }
    }
}

/// Ready when the client is gone. Its stream gives nothing else while it has no request to give.
fn poll_left(cx: &mut Context<'_>, client: &mut ClientStream) -> Poll<()> {
    let mut byte = [0];
    let polled = Pin::new(client).poll_read(cx, &mut ReadBuf::new(&mut byte));
    polled.map(|_| ())
}

async fn within<T>(limit: Duration, act: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(limit, pin!(act)).await {
        Ok(done) => done,
        Err(_) => Err(Fault::Silent),
    }
}
