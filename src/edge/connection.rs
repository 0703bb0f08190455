//! A client connection from its first byte to its last: reads a head, judges it, refuses it, answers it or hands the exchange to an
//! engine, and gets the connection back for the next one. It moves no bodies and picks no servers.

use std::sync::Arc;

use burdock::http::h1::fault::RequestFault;
use burdock::http::h1::request_head::{Answerer, Form, RequestHead};
use burdock::http::h1::upgrade::AllowedUpgrades;
use bytes::BytesMut;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::own_response::{OwnResponse, Unread};
use crate::client::client_stream::{Arrival, ClientStream};
use crate::client::connections::LINGER;
use crate::http1::engine::Engine;
use crate::proxy::gateway::Gateway;
use crate::serve::message::After;
use crate::serve::state::ServingState;
use crate::telemetry::metrics::{EngineLabel, Malformed};

/// What a connection is served with.
pub struct Connection<'e> {
    pub proxy: &'e Arc<HttpProxy<Gateway>>,
    /// Our own engine, if it is on.
    pub engine: Option<&'e Engine>,
    pub state: &'e ServingState,
    /// Whether idle connections are to end.
    pub idle_end: watch::Receiver<bool>,
}

/// What a head leads to.
enum Judged {
    /// Pingora has it.
    Admitted,
    /// For our own engine, with this head.
    Native(BytesMut),
    Own(OwnResponse),
}

impl Connection<'_> {
    /// Serves one request after the other.
    pub async fn serve(&mut self, mut client: Box<ClientStream>, shutdown: &ShutdownWatch) {
        loop {
            let judged = match self.next(&mut client).await {
                Arrival::Head(length) => self.judge(&mut client, length),
                Arrival::Fault(fault) => Judged::Own(self.refused(client.received(), fault)),
                Arrival::TooLate => Judged::Own(self.too_late(&client)),
                Arrival::Closed => return,
            };
            let after = match (judged, self.engine) {
                (Judged::Own(response), _) => return response.send(*client, self.state).await,
                (Judged::Native(head), Some(engine)) => engine.serve(&head, &mut client).await,
                (Judged::Native(_) | Judged::Admitted, _) => match self.exchange(client, shutdown).await {
                    Some(kept) => {
                        client = kept;
                        After::Kept
                    }
                    None => return,
                },
            };
            if after == After::Closed {
                let _ = client.shutdown().await;
                return;
            }
        }
    }

    /// Waits for the next head; while there is nothing of it, idle connections may be closed.
    async fn next(&mut self, client: &mut ClientStream) -> Arrival {
        let limit = || self.state.generation.load().header_bytes();
        if client.is_idle() {
            tokio::select! {
                biased;
                arrival = client.next_head(limit) => return arrival,
                _ = self.idle_end.wait_for(|ended| *ended) => {}
            }
            // The newest connections have had no time to send anything.
            let left = LINGER.saturating_sub(client.idle_for());
            match tokio::time::timeout(left, client.next_head(limit)).await {
                Ok(arrival) => return arrival,
                Err(_) if client.is_idle() => return Arrival::Closed,
                Err(_) => {}
            }
        }
        client.next_head(limit).await
    }

    /// Judges a head: it is refused, answered here, or given to an engine.
    fn judge(&self, client: &mut ClientStream, length: usize) -> Judged {
        let allowed: &AllowedUpgrades = &self.state.listeners[client.about().listener].upgrades;
        let received = client.take_head(length);
        let head = match RequestHead::read(&received, allowed) {
            Ok(head) => head,
            Err(fault) => return Judged::Own(self.refused(&received, fault)),
        };
        if head.answerer == Answerer::Here {
            return Judged::Own(OwnResponse::of_this_hop(&received));
        }
        let (body, native) = (head.body, self.engine.is_some() && Engine::takes(&head));
        let plain = match head.form {
            Form::AsReceived => received,
            Form::ToRewrite => {
                let mut plain = Vec::with_capacity(length);
                head.write(allowed, &mut plain);
                plain.as_slice().into()
            }
        };
        if native {
            self.state.metrics.exchange(EngineLabel::Native);
            return Judged::Native(plain);
        }
        self.state.metrics.exchange(EngineLabel::Pingora);
        client.admit(plain, body);
        Judged::Admitted
    }

    /// One exchange by Pingora. Returns the connection if it can bring another request.
    async fn exchange(&self, client: Box<ClientStream>, shutdown: &ShutdownWatch) -> Option<Box<ClientStream>> {
        let mut session = ServerSession::new_http1(client);
        session.set_keepalive(if *shutdown.borrow() { None } else { Some(0) });
        let reused = self.proxy.process_new_http(session, shutdown).await?;
        let (stream, _) = reused.consume();
        stream.into_any().downcast().ok()
    }

    fn refused(&self, received: &[u8], fault: RequestFault) -> OwnResponse {
        self.state.metrics.malformed(Malformed::Syntax);
        OwnResponse::refusal(received, fault.status(), Unread::Possible)
    }

    fn too_late(&self, client: &ClientStream) -> OwnResponse {
        self.state.metrics.malformed(Malformed::Timeout);
        OwnResponse::refusal(client.received(), 408, Unread::None)
    }
}

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream;
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{RngExt, SeedableRng};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const FIRST: [&str; 8] = [
        "GET / HTTP/1.1",
        "GET /a|b\"{}?c=[d]^`\\ HTTP/1.1",
        "POST /caf\u{e9} HTTP/1.1",
        "M-SEARCH //x HTTP/1.1",
        "GET / HTTP/1.0",
        "GET http://a/x?y HTTP/1.1",
        "GET http://a HTTP/1.0",
        "PATCH /a%2 HTTP/1.4",
    ];
    const LINES: [&str; 16] = [
        "X: y",
        "X:",
        "X-Odd: \u{e9}\t\"(",
        "!#$%&'*+-.^_`|~: 1",
        "Content-Length: 05",
        "content-length: 5",
        "Transfer-Encoding: Chunked",
        "Connection: close, x",
        "Connection: Upgrade",
        "Connection: te",
        "Upgrade: websocket",
        "TE: trailers",
        "Expect: 100-continue",
        "Cookie: a=b; c",
        "Cookie: d",
        "X-Long: 0123456789012345678901234567890123456789012345678901234567890123456789",
    ];

    /// A stream on which Pingora reads these bytes.
    async fn holding(bytes: &[u8]) -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(bytes).await.unwrap();
        (listener.accept().await.unwrap().0.into(), client)
    }

    #[tokio::test]
    async fn pingora_reads_every_head_that_is_admitted_and_means_the_same() {
        let allowed = AllowedUpgrades::default();
        let (mut random, mut admitted) = (StdRng::seed_from_u64(7), 0);
        for _ in 0..400 {
            let count = random.random_range(0..7);
            let lines = ["Host: a"].into_iter().chain((0..count).map(|_| *LINES.choose(&mut random).unwrap()));
            let text: String = lines.collect::<Vec<_>>().join("\r\n");
            let head = format!("{}\r\n{text}\r\n\r\n", FIRST.choose(&mut random).unwrap());
            let Ok(read) = RequestHead::read(head.as_bytes(), &allowed) else { continue };
            let mut plain = head.clone().into_bytes();
            if read.form == Form::ToRewrite {
                plain.clear();
                read.write(&allowed, &mut plain);
            }
            let (stream, _client) = holding(&plain).await;
            let mut session = ServerSession::new_http1(Box::new(stream));
            let text = String::from_utf8_lossy(&plain).into_owned();
            assert!(matches!(session.read_request().await, Ok(true)), "{text}");
            let (seen, target) = (session.req_header(), text.split(' ').nth(1).unwrap());
            assert_eq!(seen.method.as_str().as_bytes(), read.method);
            assert_eq!(String::from_utf8_lossy(seen.raw_path()), target);
            assert_eq!(
                seen.headers.len(),
                text.lines().filter(|line| line.contains(':') && !line.contains(" HTTP/1.")).count(),
                "{text}"
            );
            admitted += 1;
        }
        assert!(admitted > 100, "{admitted}");
    }
}
