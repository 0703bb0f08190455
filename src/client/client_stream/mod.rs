//! A client connection: the socket, its time limits, and the state that belongs to the connection rather than to one request.
//!
//! Between requests the connection's own loop reads from it, with [`ClientStream::next_head`]. While a request is served an engine
//! reads from it, and gets exactly that request (see [`Gate`]). It knows neither the loop nor the engines.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use burdock::balancer::connection::Connection;
use burdock::config::values::{HalfClose, Listener};
use burdock::http::forwarded::Peer;
use burdock::http::h1::fault::RequestFault;
use burdock::http::h1::length::BodyLength;
use burdock::time::Uptime;
use bytes::BytesMut;
use parking_lot::Mutex;
use pingora::protocols::{Stream, UniqueIDType};
use pingora_proxy::Session;
use tokio::io::{AsyncRead, ReadBuf};

use self::timers::{BodyPace, Timer};
use super::gate::Gate;
use crate::client::close_on_down::CloseHandle;
use crate::client::connections::Counted;
use crate::runtime::clock::Clock;
use crate::servers::private::PrivateConnections;

mod io_traits;
mod pingora_traits;
mod timers;

/// The bytes that are read from the socket at once.
const READ_SIZE: usize = 16 * 1024;

/// A connection's stream.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    clock: Clock,
    limits: TimeLimits,
    half_close: HalfClose,
    gate: Gate,
    head: HeadPhase,
    /// The uptime in milliseconds since when no request is in progress.
    idle_since: AtomicU64,
    head_timer: Timer,
    /// Not reset for every request: when it fires, it is set again for the time left.
    idle_timer: Timer,
    body_timer: Timer,
    write_timer: Timer,
    pace: BodyPace,
    /// Why the request in progress cannot be read to its end.
    broken: OnceLock<Broken>,
    /// Whether the connection has changed to another protocol.
    upgraded: AtomicBool,
    about: About,
    /// Created when a request's server first needs it.
    close_handle: OnceLock<Arc<CloseHandle>>,
    /// Whether a login that belongs to the connection has been requested or sent.
    login: AtomicBool,
    private: OnceLock<Arc<PrivateConnections>>,
    /// Counts the connection while it may bring another request.
    asker: Mutex<Option<Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct TimeLimits {
    header: Duration,
    keepalive: Duration,
    write: Duration,
}

/// The head that comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeadPhase {
    /// Nothing of it has come.
    Idle,
    /// Its first bytes have come; the deadline is set when the rest must be waited for.
    Begun,
    /// It must be whole by then.
    Until(Uptime),
}

/// What came of waiting for a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// A whole head of this length.
    Head(usize),
    Fault(RequestFault),
    /// It was not whole in time.
    TooLate,
    /// The client closed the connection, or sent nothing for the keep-alive timeout.
    Closed,
}

/// Why a request's body ended before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Broken {
    Malformed(RequestFault),
    /// The client paused for too long, or sent too slowly.
    TooSlow,
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
    pub fn new(inner: Stream, clock: Clock, listener: &Listener, about: About, asker: Counted) -> Self {
        Self {
            inner,
            clock,
            limits: TimeLimits {
                header: listener.header_timeout,
                keepalive: listener.keepalive_timeout,
                write: listener.write_timeout,
            },
            half_close: listener.half_close,
            gate: Gate::default(),
            head: HeadPhase::Idle,
            idle_since: AtomicU64::new(millis(clock.uptime())),
            head_timer: Timer::default(),
            idle_timer: Timer::default(),
            body_timer: Timer::default(),
            write_timer: Timer::default(),
            pace: BodyPace::new(listener),
            broken: OnceLock::new(),
            upgraded: AtomicBool::new(false),
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

    /// The connection has changed to another protocol: everything passes.
    pub fn upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// The socket whose end means that the client is gone; none if a client may close its sending side and wait.
    pub fn watched_socket(&self) -> Option<UniqueIDType> {
        match self.half_close {
            HalfClose::Abort => Some(self.inner.id()),
            HalfClose::Answer => None,
        }
    }

    /// The request is finished: the next byte begins another.
    pub fn request_over(&self, now: Uptime) {
        self.idle_since.store(millis(now), Relaxed);
    }

    /// Why the request in progress cannot be read to its end.
    pub fn broken(&self) -> Option<Broken> {
        self.broken.get().copied()
    }

    /// Whether nothing of the next request has come.
    pub fn is_idle(&self) -> bool {
        self.gate.received().is_empty()
    }

    /// How long no request has been in progress.
    pub fn idle_for(&self) -> Duration {
        self.clock.uptime().since(Uptime(Duration::from_millis(self.idle_since.load(Relaxed))))
    }

    /// Waits for a whole head, of at most `limit` bytes.
    pub async fn next_head(&mut self, limit: impl Fn() -> usize) -> Arrival {
        self.head = if self.is_idle() { HeadPhase::Idle } else { HeadPhase::Begun };
        let arrival = poll_fn(|cx| self.poll_head(cx, &limit)).await;
        self.head_timer.stop();
        arrival
    }

    /// What was received of the next request.
    pub fn received(&self) -> &[u8] {
        self.gate.received()
    }

    /// Takes the head that [`next_head`](Self::next_head) found, of this length. Until a request is admitted, reading gives nothing
    /// but the end of the connection.
    pub fn take_head(&mut self, length: usize) -> BytesMut {
        self.broken = OnceLock::new();
        self.gate.take_head(length)
    }

    /// Gives an engine a request with this head, whose body comes next.
    pub fn admit(&mut self, head: BytesMut, body: BodyLength) {
        self.gate.admit(head, body);
        self.pace.restart();
    }

    /// Reads and forgets what a refused client still sends, until it ends or has sent so many bytes: closing before would reset the
    /// connection, and the client might lose its answer.
    pub async fn discard(&mut self, most: usize) {
        let mut bytes = self.gate.discard();
        while bytes < most {
            match poll_fn(|cx| self.receive(cx)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => bytes += self.gate.discard(),
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, limit: &impl Fn() -> usize) -> Poll<Arrival> {
        /// Heads up to this size need no look at the limit until they are whole: every limit applies again to the request.
        const SMALL: usize = 4096;
        loop {
            let end = match self.gate.head() {
                Ok(end) => end,
                Err(fault) => return Poll::Ready(Arrival::Fault(fault)),
            };
            let size = end.unwrap_or_else(|| self.gate.received().len());
            if size > SMALL && size > limit() {
                return Poll::Ready(Arrival::Fault(RequestFault::HeadSize));
            }
            if let Some(length) = end {
                return Poll::Ready(Arrival::Head(length));
            }
            match self.receive(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Arrival::Closed),
                Poll::Ready(Ok(_)) if self.head == HeadPhase::Idle => self.head = HeadPhase::Begun,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Arrival::Closed),
                Poll::Pending => return self.poll_head_time(cx),
            }
        }
    }

    /// The socket has nothing: how long that may last.
    fn poll_head_time(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        match self.head {
            HeadPhase::Idle => {
                let (clock, since) = (self.clock, Uptime(Duration::from_millis(self.idle_since.load(Relaxed))));
                let end = since.plus(self.limits.keepalive);
                self.idle_timer.poll_again(|| end.since(clock.uptime()), cx).map(|()| Arrival::Closed)
            }
            HeadPhase::Begun => {
                let deadline = self.clock.uptime().plus(self.limits.header);
                self.head = HeadPhase::Until(deadline);
                self.head_timer.poll(self.limits.header, cx).map(|()| Arrival::TooLate)
            }
            HeadPhase::Until(deadline) => {
                self.head_timer.poll(deadline.since(self.clock.uptime()), cx).map(|()| Arrival::TooLate)
            }
        }
    }

    /// Reads once from the socket into the gate. Returns how much came; nothing if the client has closed its sending side.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        let polled = self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_read(cx, &mut buffer));
        polled.map_ok(|()| {
            self.gate.receive(buffer.filled());
            buffer.filled().len()
        })
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
}

fn millis(uptime: Uptime) -> u64 {
    uptime.0.as_millis() as u64
}
