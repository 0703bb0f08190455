//! Connections to servers for HTTP upgrade requests. Each request gets a connection of its own.
//!
//! Pingora 0.9.1 sends the end of an upgrade's empty request body while it reads the response. If it reads the 101 first, it
//! takes that end for the end of the upgraded stream and closes it. So the first read after each write finds nothing:
//! Pingora sends what it has to send, and then reads again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::Result;
use pingora::connectors::TransportConnector;
use pingora::connectors::l4::Connect;
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A peer like this one, whose connections send before they read, and whose server must answer within `read` before any longer
/// timeout counts.
pub fn peer(plain: HttpPeer, read: Duration) -> HttpPeer {
    let mut peer = plain.clone();
    // If the server refuses the upgrade, the connection is not reused.
    peer.options.idle_timeout = Some(Duration::ZERO);
    peer.options.custom_l4 = Some(Arc::new(Connector { plain, read }));
    peer
}

/// Shared by all servers; it pools no connections.
pub static TRANSPORT: LazyLock<TransportConnector> = LazyLock::new(|| TransportConnector::new(None));

/// Connects to this server.
#[derive(Debug)]
struct Connector {
    plain: HttpPeer,
    read: Duration,
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self, _address: &SocketAddr) -> Result<pingora::protocols::l4::stream::Stream> {
        Ok(sends_first(TRANSPORT.new_stream(&self.plain).await?, Answer::Within(self.read)))
    }
}

/// How long a connection waits for its first bytes.
#[derive(Debug)]
pub enum Answer {
    Within(Duration),
    Waiting(Pin<Box<Sleep>>),
    /// It has come, or another limit counts.
    Unlimited,
}

impl Answer {
    /// Whether the time is over; the task is woken when it is.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Within(limit) = self {
            *self = Self::Waiting(Box::pin(tokio::time::sleep(*limit)));
        }
        match self {
            Self::Waiting(sleep) => sleep.as_mut().poll(context),
            Self::Within(_) | Self::Unlimited => Poll::Pending,
        }
    }
}

/// Wraps a connection so that the first read after each write finds nothing.
pub fn sends_first(inner: Stream, answer: Answer) -> pingora::protocols::l4::stream::Stream {
    VirtualSocketStream::new(Box::new(SendsFirst { inner, written: false, answer })).into()
}

/// A stream whose first read after each write finds nothing.
#[derive(Debug)]
struct SendsFirst {
    inner: Stream,
    written: bool,
    answer: Answer,
}

impl AsyncRead for SendsFirst {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.written) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match Pin::new(&mut self.inner).poll_read(context, into) {
            Poll::Ready(read) => {
                self.answer = Answer::Unlimited;
                Poll::Ready(read)
            }
            Poll::Pending => self.answer.poll_late(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for SendsFirst {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written = true;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl VirtualSocket for SendsFirst {
    /// The inner stream has its options already.
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn writes_come_before_a_fast_response() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connector = peer(HttpPeer::new(listener.local_addr().unwrap(), false, String::new()), Duration::from_secs(60))
            .options
            .custom_l4
            .unwrap();
        let mut stream = connector.connect(&"127.0.0.1:1".parse().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"at once").await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.flush().await.unwrap();
        server.readable().await.unwrap();
        let mut answer = [0; 7];
        let first = Pin::new(&mut stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut answer));
        assert!(first.is_pending(), "the first read finds nothing");
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"at once");
    }
}
