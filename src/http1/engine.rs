//! Which exchanges this engine takes, and what all of them share. It serves none itself.

use std::sync::Arc;

use burdock::http::h1::length::BodyLength;
use burdock::http::h1::request_head::{RequestHead, Upgrade, Version};
use burdock::http::h1::target::Target;
use pingora::connectors::{ConnectorOptions, TransportConnector};

use super::exchange::Exchange;
use crate::client::client_stream::ClientStream;
use crate::serve::message::After;
use crate::serve::state::ServingState;

/// The engine: connections to servers that are kept, and the state that requests share.
pub struct Engine {
    connector: TransportConnector,
    state: Arc<ServingState>,
}

impl Engine {
    /// `pool` connections are kept per thread.
    pub fn new(pool: usize, state: Arc<ServingState>) -> Self {
        Self { connector: TransportConnector::new(Some(ConnectorOptions::new(pool))), state }
    }

    /// Whether this engine serves the request. Only the head decides.
    pub fn takes(head: &RequestHead<'_>) -> bool {
        head.body == BodyLength::None
            && head.version == Version::Http11
            && head.upgrade == Upgrade::None
            && head.target != Target::Asterisk
    }

    /// Serves the request with this head, which is plain. Nothing of it is in the client's stream any more.
    pub async fn serve(&self, head: &[u8], client: &mut ClientStream) -> After {
        let Some(mut exchange) = Exchange::new(head, &self.connector, &self.state) else { return After::Closed };
        let after = exchange.run(client).await;
        let now = exchange.finish();
        client.request_over(now);
        after
    }
}
