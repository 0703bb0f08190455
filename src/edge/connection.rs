//! A client connection from its first byte to its last: reads a head, judges it, refuses it, answers it or hands the exchange to an
//! engine, and gets the connection back for the next one. It moves no bodies and picks no servers.

use std::sync::Arc;

use burdock::http::h1::fault::RequestFault;
use burdock::http::h1::request_head::{Answerer, Form, RequestHead};
use burdock::http::h1::upgrade::AllowedUpgrades;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;

use super::own_response::{OwnResponse, Unread};
use crate::client::client_stream::{Arrival, ClientStream};
use crate::proxy::gateway::Gateway;
use crate::serve::state::ServingState;
use crate::telemetry::metrics::Malformed;

/// What a connection is served with.
pub struct Connection<'e> {
    pub proxy: &'e Arc<HttpProxy<Gateway>>,
    pub state: &'e ServingState,
    /// Whether idle connections are to end.
    pub idle_end: watch::Receiver<bool>,
}

impl Connection<'_> {
    /// Serves one request after the other.
    pub async fn serve(&mut self, mut client: Box<ClientStream>, shutdown: &ShutdownWatch) {
        loop {
            let response = match self.next(&mut client).await {
                Arrival::Head(length) => match self.admit(&mut client, length) {
                    Ok(Answerer::Server) => None,
                    Ok(Answerer::Here) => Some(OwnResponse::of_this_hop(client.received(), length)),
                    Err(fault) => Some(self.refused(&client, fault)),
                },
                Arrival::Fault(fault) => Some(self.refused(&client, fault)),
                Arrival::TooLate => Some(self.too_late(&client)),
                Arrival::Closed => return,
            };
            if let Some(response) = response {
                return response.send(*client, self.state).await;
            }
            match self.exchange(client, shutdown).await {
                Some(kept) => client = kept,
                None => return,
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
            if client.is_idle() {
                return Arrival::Closed;
            }
        }
        client.next_head(limit).await
    }

    /// Judges a head, and gives the request to an engine if a server is to answer it.
    fn admit(&self, client: &mut ClientStream, length: usize) -> Result<Answerer, RequestFault> {
        let allowed: &AllowedUpgrades = &self.state.listeners[client.about().listener].upgrades;
        let head = RequestHead::read(&client.received()[..length], allowed)?;
        let (answerer, body) = (head.answerer, head.body);
        let mut rewritten = Vec::new();
        if head.form == Form::ToRewrite {
            head.write(allowed, &mut rewritten);
        }
        if answerer == Answerer::Server {
            client.admit(length, (!rewritten.is_empty()).then_some(&rewritten), body);
        }
        Ok(answerer)
    }

    /// One exchange by Pingora. Returns the connection if it can bring another request.
    async fn exchange(&self, client: Box<ClientStream>, shutdown: &ShutdownWatch) -> Option<Box<ClientStream>> {
        let mut session = ServerSession::new_http1(client);
        session.set_keepalive(if *shutdown.borrow() { None } else { Some(0) });
        let reused = self.proxy.process_new_http(session, shutdown).await?;
        let (stream, _) = reused.consume();
        stream.into_any().downcast().ok()
    }

    fn refused(&self, client: &ClientStream, fault: RequestFault) -> OwnResponse {
        self.state.metrics.malformed(Malformed::Syntax);
        OwnResponse::refusal(client.received(), fault.status(), Unread::Possible)
    }

    fn too_late(&self, client: &ClientStream) -> OwnResponse {
        self.state.metrics.malformed(Malformed::Timeout);
        OwnResponse::refusal(client.received(), 408, Unread::None)
    }
}
