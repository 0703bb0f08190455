//! Private connections to servers: each serves one client connection only. After a login by NTLM or Negotiate, the server takes
//! every request on the connection as that user's; an upstream can also configure private connections. This file knows nothing
//! of logins.
//!
//! Pingora's pool cannot hold private connections: it drops the least recently used of `upstream_pool` per thread, closes each after
//! `timeouts.keepalive`, and does not know when the client is gone. So the pool never gets one:
//!
//! 1. A request's peer has a connector that lends it an idle private connection, or opens a new one.
//! 2. After the response, Pingora tests whether the connection can be reused, by a read into a buffer of one byte. Version
//!    0.9.1 uses so small a buffer at no other time.
//! 3. If that read finds nothing, which is right for an idle connection, the loan ends: the connection returns here, and
//!    Pingora sees end of file, so that it drops its side at once.
//! 4. In every other case (an error, an incomplete response, `Connection: close`) Pingora drops the connection, which closes it.
//!
//! The client's stream owns the idle private connections, so they end with the client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::Result;
use pingora::connectors::l4::Connect;
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::servers::connection_use::ConnectionUse;
use crate::servers::http_upgrade;
use crate::servers::http_upgrade::{Answer, TRANSPORT};

/// The idle private connections of a client connection.
#[derive(Debug, Default)]
pub struct PrivateConnections {
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    server: SocketAddr,
    stream: Stream,
}

/// Whether a request got a reused private connection.
#[derive(Clone, Debug, Default)]
pub struct Reused(Arc<AtomicBool>);

impl Reused {
    pub fn is_reused(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl PrivateConnections {
    /// A peer like this one, whose connection comes from here and returns to here. An HTTP upgrade is answered within `read`.
    pub fn peer(
        self: &Arc<Self>,
        mut server: HttpPeer,
        purpose: ConnectionUse,
        read: Duration,
        reused: &Reused,
    ) -> HttpPeer {
        server.options.custom_l4 = None;
        let mut peer = server.clone();
        // Pingora's pool has no connection with this key, and would not keep one.
        peer.group_key = rand::random();
        peer.options.idle_timeout = Some(Duration::ZERO);
        let connector = Connector { server, purpose, read, connections: Arc::clone(self), reused: reused.clone() };
        peer.options.custom_l4 = Some(Arc::new(connector));
        peer
    }

    /// An open connection to this server, with nothing unread. Unusable ones are closed.
    fn take(&self, server: &SocketAddr) -> Option<Stream> {
        let mut idle = self.idle.lock();
        while let Some(at) = idle.iter().position(|idle| idle.server == *server) {
            let mut stream = idle.swap_remove(at).stream;
            if is_silent(&mut stream) {
                return Some(stream);
            }
        }
        None
    }

    fn keep(&self, server: SocketAddr, stream: Stream) {
        self.idle.lock().push(Idle { server, stream });
    }
}

/// Whether there is nothing to read: neither unexpected bytes nor the end.
fn is_silent(stream: &mut Stream) -> bool {
    let mut room = [0];
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut room)).is_pending()
}

/// Connects to a server for one client connection.
#[derive(Debug)]
struct Connector {
    server: HttpPeer,
    purpose: ConnectionUse,
    read: Duration,
    connections: Arc<PrivateConnections>,
    reused: Reused,
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self, _address: &SocketAddr) -> Result<pingora::protocols::l4::stream::Stream> {
        let kept = match self.purpose {
            ConnectionUse::Request | ConnectionUse::HttpUpgrade => self.connections.take(&self.server._address),
            ConnectionUse::RequestOnNew => None,
        };
        self.reused.0.store(kept.is_some(), Relaxed);
        let stream = match kept {
            Some(stream) => stream,
            None => TRANSPORT.new_stream(&self.server).await?,
        };
        let loan =
            Loan { stream: Some(stream), server: self.server._address.clone(), connections: Arc::clone(&self.connections) };
        let stream = VirtualSocketStream::new(Box::new(loan)).into();
        Ok(match self.purpose {
            ConnectionUse::Request | ConnectionUse::RequestOnNew => stream,
            ConnectionUse::HttpUpgrade => http_upgrade::sends_first(Box::new(stream), Answer::Within(self.read)),
        })
    }
}

/// A connection in use; without a stream once it was returned.
#[derive(Debug)]
struct Loan {
    stream: Option<Stream>,
    server: SocketAddr,
    connections: Arc<PrivateConnections>,
}

impl Loan {
    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Only the read by which Pingora tests whether a connection can be reused has so small a buffer.
const REUSE_TEST_BUFFER: usize = 1;

impl AsyncRead for Loan {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_reuse_test = into.remaining() == REUSE_TEST_BUFFER;
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let polled = Pin::new(stream).poll_read(context, into);
        if is_reuse_test
            && polled.is_pending()
            && let Some(stream) = self.stream.take()
        {
            self.connections.keep(self.server.clone(), stream);
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl AsyncWrite for Loan {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

impl VirtualSocket for Loan {
    /// The inner stream has its options already.
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pingora::connectors::http::Connector as HttpConnector;
    use pingora::http::RequestHeader;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers every request with the number of its connection.
    async fn serve(listener: TcpListener) {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(answer(stream, number));
        }
    }

    async fn answer(mut stream: TcpStream, number: usize) {
        let mut request = [0; 1024];
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
            let response = format!("HTTP/1.1 200 OK\r\nX-Connection: {number}\r\nContent-Length: 2\r\n\r\nok");
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// One exchange through Pingora's own connector; returns the number of its connection.
    async fn ask(connector: &HttpConnector, peer: &HttpPeer) -> String {
        let (mut session, _) = connector.get_http_session(peer).await.unwrap();
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.insert_header("Host", "shop").unwrap();
        session.write_request_header(Box::new(request)).await.unwrap();
        session.read_response_header().await.unwrap();
        let number = session.response_header().unwrap().headers["x-connection"].to_str().unwrap().to_owned();
        while session.read_response_body().await.unwrap().is_some() {}
        connector.release_http_session(session, peer, peer.options.idle_timeout).await;
        number
    }

    #[tokio::test]
    async fn private_connection_is_reused_through_pingora() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
        tokio::spawn(serve(listener));
        let connector = HttpConnector::new(None);
        let [alice, bob] = [(); 2].map(|()| Arc::new(PrivateConnections::default()));
        let reused = Reused::default();
        let mut seen = Vec::new();
        for client in [&alice, &alice, &bob, &alice, &bob] {
            let peer = client.peer(server.clone(), ConnectionUse::Request, Duration::ZERO, &reused);
            let number = ask(&connector, &peer).await;
            seen.push((number, reused.is_reused()));
            assert_eq!(client.idle.lock().len(), 1, "the loan ends with the exchange");
        }
        let expected = [("0", false), ("0", true), ("1", false), ("0", true), ("1", true)];
        assert_eq!(seen, expected.map(|(number, reused)| (number.to_owned(), reused)));
    }
}
