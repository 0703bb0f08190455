//! One exchange, from its head to its record: received, placed, sent, answered. Each step is one of `serve`'s; this file moves the
//! bytes between them and decides nothing about servers.

use std::sync::Arc;

use ::http::header::{CONNECTION, DATE, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use burdock::http::edits::Edits;
use burdock::http::h1::lines::Lines;
use burdock::http::h1::response_head;
use burdock::time::Uptime;
use burdock::upstream::retry::{Failure, Progress, ShouldRetry};
use burdock::upstream::spec::Timeouts;
use pingora::ErrorType::{ConnectionClosed, InvalidHTTPHeader, ReadTimedout};
use pingora::connectors::TransportConnector;
use pingora::protocols::http::date::get_cached_date;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error, Result};
use tokio::io::AsyncWriteExt;

use super::body::{Body, Broken};
use super::server_stream::{Fault, ServerStream};
use crate::client::client_stream::ClientStream;
use crate::serve::confirm;
use crate::serve::context::Context;
use crate::serve::edit;
use crate::serve::failure::{self, Next};
use crate::serve::message::{After, Ended, RequestHead, ResponseHead, Wants};
use crate::serve::place;
use crate::serve::receive;
use crate::serve::reply;
use crate::serve::state::ServingState;

/// An exchange in progress.
pub struct Exchange<'e> {
    connector: &'e TransportConnector,
    state: &'e Arc<ServingState>,
    context: Box<Context>,
    method: Method,
    target: &'e str,
    lines: Lines<'e>,
    headers: HeaderMap,
    size: usize,
    /// Whether the client wants its connection kept.
    client: After,
    /// The last head that was sent to the client.
    answered: Option<StatusCode>,
    bytes_out: u64,
}

/// What ends an attempt without a response.
enum Stopped {
    /// Another attempt follows.
    Again,
    /// The client gets this answer, if it has none yet; without one it is gone.
    Ended(Box<Error>),
}

/// A response's head.
struct Answer<'h> {
    status: StatusCode,
    /// From behind the version to the end of the status line.
    status_line: &'h [u8],
    lines: Lines<'h>,
    headers: HeaderMap,
    /// Whether the server keeps the connection.
    server: After,
}

impl<'e> Exchange<'e> {
    /// The head has been read before, by the connection's loop, so that only its parts are found here; none if they are not there.
    pub fn new(head: &'e [u8], connector: &'e TransportConnector, state: &'e Arc<ServingState>) -> Option<Self> {
        let mut words = head.split(|&byte| byte == b' ');
        let (method, target) = (words.next()?, std::str::from_utf8(words.next()?).ok()?);
        let lines = Lines::read(head.get(line_end(head)..)?).ok()?;
        let headers = lines.to_map();
        let closes = headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        Some(Self {
            connector,
            state,
            context: Box::new(Context::new(Arc::clone(&state.record_sinks))),
            method: Method::from_bytes(method).ok()?,
            target,
            lines,
            headers,
            size: head.len(),
            client: if closes || state.readiness.is_leaving() { After::Closed } else { After::Kept },
            answered: None,
            bytes_out: 0,
        })
    }

    /// Serves the request, and says what becomes of the client's connection.
    pub async fn run(&mut self, client: &mut ClientStream) -> After {
        match self.served(client).await {
            Ok(after) => after,
            Err(error) => {
                self.answer_error(client, &error).await;
                After::Closed
            }
        }
    }

    /// The end of the exchange: the record is complete.
    pub fn finish(&mut self) -> Uptime {
        let now = self.state.clock.moment_after(self.context.record.started);
        let ended = Ended { status: self.answered, bytes_in: 0, bytes_out: self.bytes_out };
        self.context.finish(ended, now);
        now.uptime
    }

    async fn served(&mut self, client: &mut ClientStream) -> Result<After> {
        let (path, query) = self.target.split_once('?').map_or((self.target, None), |(path, query)| (path, Some(query)));
        let host = self.headers.get(::http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let request = RequestHead { method: &self.method, host, path, query, headers: &self.headers };
        receive::record(&request, Some(client), &mut self.context, self.state);
        receive::receive(&request, self.size, Some(client), &mut self.context, self.state)?;
        loop {
            let at = place::place(Some(client), &mut self.context, self.state).await?;
            match self.attempt(client, at).await {
                Ok(after) => return Ok(after),
                Err(Stopped::Again) => {}
                Err(Stopped::Ended(error)) => return Err(error),
            }
        }
    }

    /// One attempt at the picked server.
    async fn attempt(&mut self, client: &mut ClientStream, at: usize) -> Result<After, Stopped> {
        let peer = place::peer(&self.headers, Wants::Response, Some(client), &mut self.context, at, self.state);
        let peer = peer.map_err(Stopped::Ended)?;
        let (mut server, reused) = self.connect(&peer).await?;
        let request = self.request_bytes(client);
        if let Err(fault) = server.send(&request).await {
            return Err(self.failed(fault, reused));
        }
        let mut head;
        let answer = loop {
            head = match server.head(client).await {
                Ok(next) => next,
                Err(fault) => return Err(self.failed(fault, reused)),
            };
            let answer = match Answer::read(&head) {
                Ok(answer) => answer,
                Err(fault) => return Err(self.failed(fault, reused)),
            };
            if !answer.status.is_informational() {
                break answer;
            }
            self.pass_interim(answer, client).await?;
        };
        let progress = self.progress();
        if self.context.retries_answer(answer.status, &self.method, progress, self.state) == ShouldRetry::Yes {
            return Err(Stopped::Again);
        }
        self.respond(answer, server, &peer, client).await
    }

    /// A connection to the server, and whether it was used before.
    async fn connect(&mut self, peer: &HttpPeer) -> Result<(ServerStream, bool), Stopped> {
        let timeouts =
            self.timeouts(peer).ok_or_else(|| Stopped::Ended(reply::status(500, "a request without an exchange")))?;
        match self.connector.get_stream(peer).await {
            Ok((stream, reused)) => {
                let reused = self.context.is_on_kept_connection(reused);
                if !reused {
                    self.context.connected(self.state.clock.uptime());
                }
                Ok((ServerStream::new(stream, timeouts), reused))
            }
            Err(mut error) => {
                error.as_up();
                match failure::connecting(&error, &self.method, &mut self.context, self.state) {
                    Next::Again => Err(Stopped::Again),
                    Next::Failed => Err(Stopped::Ended(error)),
                    Next::Refused(instead) => Err(Stopped::Ended(instead)),
                }
            }
        }
    }

    fn timeouts(&self, peer: &HttpPeer) -> Option<Timeouts> {
        let timeouts = self.context.timeouts()?;
        Some(Timeouts { keepalive: peer.options.idle_timeout.unwrap_or(timeouts.keepalive), ..timeouts })
    }

    /// The request as its server gets it.
    fn request_bytes(&self, client: &ClientStream) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size + 512);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let edits = edit::request(&self.headers, Wants::Response, Some(client), &self.context, self.state);
        write_lines(self.lines.clone(), [edit::hops(&self.headers), edits], &mut out);
        out
    }

    /// An informational response goes on at once.
    async fn pass_interim(&mut self, answer: Answer<'_>, client: &mut ClientStream) -> Result<(), Stopped> {
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            let fault = response_head::ResponseFault::Unasked;
            return Err(self.failed(Fault::Malformed(fault.to_string()), false));
        }
        let now = self.state.clock.moment_after(self.context.record.started).now();
        let edits = self.context.interim_edits(&answer.headers, now).unwrap_or_default();
        self.answered = Some(answer.status);
        let out = answer.bytes([edits]);
        client.write_all(&out).await.map_err(|_| Stopped::Ended(reply::client_left()))?;
        client.flush().await.map_err(|_| Stopped::Ended(reply::client_left()))
    }

    /// The final response: judged, settled, sent.
    async fn respond(
        &mut self,
        answer: Answer<'_>,
        mut server: ServerStream,
        peer: &HttpPeer,
        client: &mut ClientStream,
    ) -> Result<After, Stopped> {
        let view = ResponseHead { status: answer.status, version: Version::HTTP_11, headers: &answer.headers };
        let (mut framing, _) = match edit::response(&view, Wants::Response, Version::HTTP_11) {
            Ok(judged) => judged,
            Err(fault) => return Err(self.failed(Fault::Malformed(fault.to_string()), false)),
        };
        let mut body = Body::of(answer.status, &self.method, &answer.headers);
        receive::remember_requested_login(client, &view);
        if receive::after(client, answer.status, self.state) == After::Closed {
            self.client = After::Closed;
        }
        let now = self.state.clock.moment_after(self.context.record.started).now();
        let settled = self.context.settle(&view, now, self.state).map(edit::settlement).unwrap_or_default();
        confirm::wait(self.context.take_confirmations()).await;
        if matches!(body, Body::Connection) {
            framing.set(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let connection = if self.client == After::Kept { "keep-alive" } else { "close" };
        framing.set(CONNECTION, HeaderValue::from_static(connection));
        if !answer.headers.contains_key(DATE) {
            // RFC 9110 6.6.1. A server's own Date stays.
            framing.set(DATE, get_cached_date());
        }
        self.answered = Some(answer.status);
        let kept = answer.server;
        let head = answer.bytes([framing, settled]);
        let forwarded = body.forward(head, &mut server, client, &mut self.bytes_out).await;
        self.end(forwarded, body, kept, server, peer)
    }

    /// The response has been sent, or broke off.
    fn end(
        &mut self,
        forwarded: Result<(), Broken>,
        body: Body,
        kept: After,
        server: ServerStream,
        peer: &HttpPeer,
    ) -> Result<After, Stopped> {
        match forwarded {
            Ok(()) => {
                self.context.completed(self.state.clock.moment_after(self.context.record.started).now());
                if kept == After::Kept && !matches!(body, Body::Connection) && server.ahead.is_empty() {
                    let keepalive = Some(server.timeouts.keepalive);
                    self.connector.release_stream(server.stream, peer.reuse_hash(), keepalive);
                }
                Ok(self.client)
            }
            Err(Broken::Client) => Err(Stopped::Ended(reply::client_left())),
            Err(Broken::Server(fault)) => Err(self.failed(fault, false)),
        }
    }

    /// What follows a server's fault: as in Pingora's path, which kind of failure it was decides.
    fn failed(&mut self, fault: Fault, reused: bool) -> Stopped {
        let (failure, mut error) = match fault {
            Fault::ClientLeft => return Stopped::Ended(reply::client_left()),
            Fault::Closed(cause) => {
                let failure = if reused { Failure::Stale } else { Failure::Closed };
                (failure, Error::because(ConnectionClosed, "the server's connection", cause))
            }
            Fault::Silent => (Failure::Timeout, Error::explain(ReadTimedout, "the server was silent")),
            Fault::Malformed(why) => (Failure::Other, Error::explain(InvalidHTTPHeader, why)),
        };
        error.as_up();
        let progress = self.progress();
        match failure::exchanging(&error, failure, &self.method, progress, &mut self.context, self.state) {
            Next::Again => Stopped::Again,
            Next::Failed => Stopped::Ended(error),
            Next::Refused(instead) => Stopped::Ended(instead),
        }
    }

    fn progress(&self) -> Progress {
        if self.answered.is_some() { Progress::Committed } else { Progress::Replayable }
    }

    /// Burdock's own answer, if the client has none.
    async fn answer_error(&mut self, client: &mut ClientStream, error: &Error) {
        let code = reply::code(error);
        if let Some(code) = code
            && self.answered.is_none_or(|status| status.is_informational())
        {
            let out = reply::bytes(code, self.context.retry_after().header(), &self.method);
            self.answered = StatusCode::from_u16(code).ok();
            if client.write_all(&out).await.is_ok() && self.method != Method::HEAD {
                self.bytes_out = reply::body(code).len() as u64;
            }
            // Ignored: the client may be gone.
            let _ = client.flush().await;
            let _ = client.shutdown().await;
        }
        self.context.ended_by(code);
    }
}

impl<'h> Answer<'h> {
    fn read(head: &'h [u8]) -> Result<Self, Fault> {
        let malformed = |why: String| Fault::Malformed(why);
        let (status, version, lines) = response_head::status_line(head)
            .ok_or_else(|| malformed("the server's answer is not a response of HTTP/1".to_owned()))?;
        let lines = Lines::read(lines).map_err(|fault| malformed(fault.to_string()))?;
        let headers = lines.to_map();
        let says = |option: &[u8]| {
            let lines = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
            lines
                .flat_map(|line| line.split(|&byte| byte == b','))
                .any(|word| word.trim_ascii().eq_ignore_ascii_case(option))
        };
        let kept = if version == Version::HTTP_11 { !says(b"close") } else { says(b"keep-alive") };
        let server = if kept { After::Kept } else { After::Closed };
        let status_line = head.get(b"HTTP/1.x".len()..line_end(head)).unwrap_or_default();
        Ok(Self { status, status_line, lines, headers, server })
    }

    /// The head as its client gets it.
    fn bytes<const N: usize>(self, edits: [Edits; N]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"HTTP/1.1");
        out.extend_from_slice(self.status_line);
        write_lines(self.lines, edits, &mut out);
        out
    }
}

/// Where the lines behind the first one begin.
fn line_end(head: &[u8]) -> usize {
    memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1)
}

/// The field lines with these edits, and the empty line.
fn write_lines<const N: usize>(mut lines: Lines<'_>, edits: [Edits; N], out: &mut Vec<u8>) {
    for edits in edits {
        match edits.apply(&mut lines) {
            Ok(()) => {}
        }
    }
    lines.write(out);
    out.extend_from_slice(b"\r\n");
}
