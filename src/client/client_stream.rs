//! A client connection as Pingora sees it: the socket, with a deadline for a request's whole header block, and the state that
//! belongs to the connection rather than to one request.
//!
//! Pingora limits the time of each read, not of their sum, and answers malformed requests before any hook runs. This stream
//! handles both: the deadline runs from a request's first byte until the first hook disarms it, and data written before that
//! is Pingora's own answer to a request that no hook will see.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use burdock::balancer::connection::Connection;
use burdock::config::values::Listener;
use burdock::http::forwarded::Peer;
use burdock::time::Uptime;
use parking_lot::Mutex;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora_proxy::Session;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::client::close_on_down::CloseHandle;
use crate::client::connections::Counted;
use crate::runtime::clock::Clock;
use crate::servers::private::PrivateConnections;
use crate::telemetry::metrics::{Malformed, Metrics};

/// No request is in progress: the next byte begins one.
const IDLE: u64 = 0;
/// The first byte has come; the deadline is set when the stream must wait for more.
const BEGUN: u64 = 1;
/// A request's header block is complete; the hooks have it.
const IN_HOOKS: u64 = u64::MAX;

const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A connection's stream.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    clock: Clock,
    metrics: Arc<Metrics>,
    header_timeout: Duration,
    keepalive_timeout: Duration,
    /// [`IDLE`], [`BEGUN`], [`IN_HOOKS`], or the uptime in milliseconds by which the header block must be complete.
    deadline: AtomicU64,
    /// The uptime in milliseconds since when no request is in progress.
    idle_since: AtomicU64,
    deadline_sleep: Option<Pin<Box<Sleep>>>,
    /// Not reset for every request: when it fires, it is set again for the time left.
    idle_sleep: Option<Pin<Box<Sleep>>>,
    about: About,
    /// Created when a request's server first needs it.
    close_handle: OnceLock<Arc<CloseHandle>>,
    /// Whether a login that belongs to the connection has been requested or sent.
    login: AtomicBool,
    private: OnceLock<Arc<PrivateConnections>>,
    /// Counts the connection while it may bring another request.
    asker: Mutex<Option<Counted>>,
}

/// The properties of a connection.
#[derive(Debug)]
pub struct About {
    pub peer: Peer,
    /// The index of its listener in the configuration.
    pub listener: usize,
    pub shared: Connection,
}

impl ClientStream {
    /// A stream accepted by `listener`, which `about` names.
    pub fn new(
        inner: Stream,
        clock: Clock,
        metrics: Arc<Metrics>,
        listener: &Listener,
        about: About,
        asker: Counted,
    ) -> Self {
        Self {
            inner,
            clock,
            metrics,
            header_timeout: listener.header_timeout,
            keepalive_timeout: listener.keepalive_timeout,
            deadline: AtomicU64::new(IDLE),
            idle_since: AtomicU64::new(millis(clock.uptime())),
            deadline_sleep: None,
            idle_sleep: None,
            about,
            close_handle: OnceLock::new(),
            login: AtomicBool::new(false),
            private: OnceLock::new(),
            asker: Mutex::new(Some(asker)),
        }
    }

    /// The connection of a request.
    pub fn of(session: &Session) -> Option<&Self> {
        session.downstream_session.stream()?.as_any().downcast_ref()
    }

    pub fn about(&self) -> &About {
        &self.about
    }

    /// A handle to close the connection from elsewhere.
    pub fn close_handle(&self) -> &Arc<CloseHandle> {
        self.close_handle.get_or_init(Arc::default)
    }

    /// From now on the requests of this connection share no server connection with other clients.
    pub fn remember_login(&self) {
        self.login.store(true, Relaxed);
    }

    pub fn has_login(&self) -> bool {
        self.login.load(Relaxed)
    }

    /// Its private connections to servers, which end with it.
    pub fn private(&self) -> &Arc<PrivateConnections> {
        self.private.get_or_init(Arc::default)
    }

    /// The connection ends after the request in progress, or belongs to it for good.
    pub fn takes_no_more(&self) {
        *self.asker.lock() = None;
    }

    /// The header block is complete in time.
    pub fn header_complete(&self) {
        self.deadline.store(IN_HOOKS, Relaxed);
    }

    /// The request is finished: the next byte begins another.
    pub fn request_over(&self, now: Uptime) {
        self.idle_since.store(millis(now), Relaxed);
        self.deadline.store(IDLE, Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.clock.uptime())
    }

    /// Called only when a header block does not come in one piece, which saves most requests a clock read.
    fn set_deadline(&self) -> u64 {
        let deadline = self.now() + self.header_timeout.as_millis() as u64;
        self.deadline.store(deadline.max(BEGUN + 1), Relaxed);
        deadline
    }

    /// Ready with an error once the deadline has passed; until then the task will be woken at it.
    fn poll_deadline(&mut self, deadline: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let left = deadline.saturating_sub(self.now());
        if left == 0 {
            return Poll::Ready(self.too_late(cx));
        }
        let sleep = self.deadline_sleep.insert(sleep(left));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.too_late(cx)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready, with nothing read, once no request has been in progress for the keep-alive timeout.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let keepalive = self.keepalive_timeout.as_millis() as u64;
        while self.idle_sleep.get_or_insert_with(|| sleep(keepalive)).as_mut().poll(cx).is_ready() {
            let left = (self.idle_since.load(Relaxed) + keepalive).saturating_sub(self.now());
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            self.idle_sleep = Some(sleep(left));
        }
        Poll::Pending
    }

    /// Sends 408, if the socket takes it at once, and ends the connection.
    fn too_late(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.metrics.malformed(Malformed::Timeout);
        self.deadline.store(IN_HOOKS, Relaxed);
        let _ = Pin::new(&mut self.inner).poll_write(cx, TIMED_OUT);
        let _ = Pin::new(&mut self.inner).poll_flush(cx);
        Err(io::Error::new(io::ErrorKind::TimedOut, "the request's header block took too long"))
    }

    /// Runs an operation on the socket, unless the connection was closed from elsewhere; a pending operation is woken by that.
    fn unless_closed<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let over = || Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server went down")));
        if self.close_handle.get().is_some_and(|handle| handle.is_closed()) {
            return over();
        }
        let done = act(self, cx);
        match self.close_handle.get() {
            Some(handle) if done.is_pending() && handle.watch(cx) => over(),
            Some(_) | None => done,
        }
    }

    /// Counts a response that Pingora writes before any hook has seen the request.
    fn before_write(&self) {
        if !matches!(self.deadline.load(Relaxed), IDLE | IN_HOOKS) {
            self.deadline.store(IN_HOOKS, Relaxed);
            self.metrics.malformed(Malformed::Syntax);
        }
    }
}

fn millis(uptime: Uptime) -> u64 {
    uptime.0.as_millis() as u64
}

fn sleep(millis: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
}

impl ClientStream {
    fn poll_read_in_time(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        match (self.deadline.load(Relaxed), &polled) {
            (IN_HOOKS, _) => polled,
            (IDLE, Poll::Pending) => self.poll_idle(cx),
            (IDLE, Poll::Ready(_)) => {
                if buf.filled().len() > before {
                    self.deadline.store(BEGUN, Relaxed);
                }
                polled
            }
            (BEGUN, Poll::Pending) => {
                let deadline = self.set_deadline();
                self.poll_deadline(deadline, cx)
            }
            (BEGUN, Poll::Ready(_)) => {
                self.set_deadline();
                polled
            }
            (deadline, Poll::Pending) => self.poll_deadline(deadline, cx),
            (deadline, Poll::Ready(_)) if self.now() >= deadline => Poll::Ready(self.too_late(cx)),
            (_, Poll::Ready(_)) => polled,
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.unless_closed(cx, |stream, cx| stream.poll_read_in_time(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write();
        self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.before_write();
        self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for ClientStream {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buf).await
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for ClientStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}
