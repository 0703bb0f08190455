//! Reading and writing, as an engine does it while a request is served.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use burdock::config::values::HalfClose;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Broken, ClientStream};
use crate::client::gate::{MAX_AHEAD, Source};

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        if *stream.upgraded.get_mut() {
            stream.gate.open();
        }
        loop {
            let source = match stream.gate.next() {
                Ok(source) => source,
                Err(fault) => return Poll::Ready(Err(stream.broken_by(Broken::Malformed(fault)))),
            };
            match source {
                Source::Ready => {
                    stream.gate.give(out);
                    return Poll::Ready(Ok(()));
                }
                Source::Socket { at_most } => return stream.pass(cx, out, at_most),
                Source::Received => {
                    let polled = stream.receive(cx);
                    match ready!(stream.body_time(cx, polled))? {
                        0 => return Poll::Ready(Ok(())),
                        bytes => stream.pace.received(bytes),
                    }
                }
                Source::Later => return stream.read_ahead(cx),
            }
        }
    }
}

impl ClientStream {
    /// Reads from the socket straight into the engine's buffer.
    fn pass(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>, at_most: u64) -> Poll<io::Result<()>> {
        let room = usize::try_from(at_most).map_or_else(|_| out.remaining(), |at_most| at_most.min(out.remaining()));
        let before = out.filled().len();
        let polled = if room == out.remaining() {
            self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_read(cx, out))
        } else {
            let mut part = ReadBuf::new(out.initialize_unfilled_to(room));
            let polled = self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_read(cx, &mut part));
            let bytes = part.filled().len();
            out.advance(bytes);
            polled
        };
        ready!(self.body_time(cx, polled))?;
        let bytes = out.filled().len() - before;
        self.gate.passed(bytes);
        self.pace.received(bytes);
        Poll::Ready(Ok(()))
    }

    /// The engine has the whole request. Reads on for a while, so that a client that leaves is noticed; nothing of that is given.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gate.received().len() < MAX_AHEAD {
            match ready!(self.receive(cx))? {
                0 if self.half_close == HalfClose::Abort => return Poll::Ready(Ok(())),
                0 => return Poll::Pending,
                _ => {}
            }
        }
        Poll::Pending
    }

    /// Limits the time for which a body is waited for.
    fn body_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if !self.gate.expects_body() {
            return polled;
        }
        if polled.is_ready() {
            if self.pace.is_waiting() {
                self.pace.stop_waiting(self.clock.uptime());
            }
            return polled;
        }
        let (clock, pace) = (self.clock, &mut self.pace);
        pace.wait(clock.uptime());
        ready!(self.body_timer.poll_again(|| pace.left(clock.uptime()), cx));
        Poll::Ready(Err(self.broken_by(Broken::TooSlow)))
    }

    fn broken_by(&self, broken: Broken) -> io::Error {
        let _ = self.broken.set(broken);
        match broken {
            Broken::Malformed(fault) => io::Error::new(io::ErrorKind::InvalidData, fault),
            Broken::TooSlow => io::Error::new(io::ErrorKind::TimedOut, "the client sends its body too slowly"),
        }
    }

    /// Limits the time for which the client reads nothing.
    fn write_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_timer.stop();
            return polled;
        }
        let limit = self.limits.write;
        ready!(self.write_timer.poll_once(limit, cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }

    fn before_write(&mut self) {
        if self.gate.expects_body() {
            self.pace.restart();
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write();
        let polled = self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_write(cx, buf));
        self.write_time(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_flush(cx));
        self.write_time(cx, polled)
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
        let polled = self.unless_closed(cx, |stream, cx| Pin::new(&mut stream.inner).poll_write_vectored(cx, bufs));
        self.write_time(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
