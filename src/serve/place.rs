//! Picks a server, and waits in its queue if the core says so: for a slot, until a deadline, while the client stays connected.

use std::time::Duration;

use ::http::HeaderMap;
use burdock::balancer::exchange::{Assignment, Waiting};
use burdock::time::Now;
use burdock::upstream::failover::Cause;
use burdock::upstream::queue::Slot;
use burdock::upstream::queue::Ticket;
use burdock::upstream::retry::ConnectionNeed;
use burdock::upstream::spec::ConnectionSharing;
use pingora::Result;
use pingora::upstreams::peer::HttpPeer;

use super::context::{Context, Phase};
use super::message::Wants;
use super::reply;
use super::state::ServingState;
use crate::client::client_gone;
use crate::client::client_stream::ClientStream;
use crate::serve::receive;
use crate::servers::connection_use::ConnectionUse;

/// How a wait ended.
enum End {
    Admitted(Slot),
    SentAway(Cause),
    TimedOut,
    ClientLeft,
}

/// The index of the server that gets the request; the context holds its slot.
pub async fn place(client: Option<&ClientStream>, context: &mut Context, state: &ServingState) -> Result<usize> {
    let about = client.map(ClientStream::about).filter(|about| receive::is_one_client(about, state));
    let mut now = context.moment_of_pick(state.clock);
    loop {
        let Phase::Balancing(balancing) = &mut context.phase else {
            return Err(reply::status(500, "a request without an exchange"));
        };
        let assignment = balancing.exchange.pick(about.map(|about| &about.shared), now, &mut rand::rng());
        match assignment {
            Assignment::Send { at, slot } => {
                context.sent(at, slot, client, state, now);
                return Ok(at);
            }
            Assignment::Refuse(refusal) => {
                context.refused(refusal);
                return Err(reply::refusal(refusal));
            }
            Assignment::GiveUp(_) => return Err(reply::status(context.last_failure(), "every server has failed")),
            Assignment::Wait(waiting) => {
                if let Some(at) = wait(waiting, client, context, state, &mut now).await? {
                    return Ok(at);
                }
            }
        }
    }
}

/// The peer of the picked server, with shared or private connections.
pub fn peer(
    headers: &HeaderMap,
    wants: Wants,
    client: Option<&ClientStream>,
    context: &mut Context,
    at: usize,
    state: &ServingState,
) -> Result<HttpPeer> {
    let purpose = match (wants, context.connection_need()) {
        (Wants::Upgrade, _) => ConnectionUse::HttpUpgrade,
        (Wants::Response, ConnectionNeed::Any) => ConnectionUse::Request,
        (Wants::Response, ConnectionNeed::New) => ConnectionUse::RequestOnNew,
    };
    let peer = context.peer(at, purpose, state).ok_or_else(|| reply::status(500, "a request without an exchange"))?;
    let Some(client) = client else { return Ok(peer) };
    let read = context.timeouts().map_or(Duration::ZERO, |timeouts| timeouts.read);
    let private = context.sharing() == ConnectionSharing::Private || receive::has_login(client, headers);
    Ok(if private { client.private().peer(peer, purpose, read, context.uses_private()) } else { peer })
}

/// Waits for a slot. Returns the server's index, or none if the core must pick again.
async fn wait(
    Waiting { ticket, until, decision }: Waiting,
    client: Option<&ClientStream>,
    context: &mut Context,
    state: &ServingState,
    now: &mut Now,
) -> Result<Option<usize>> {
    let end = end(ticket, until.since(now.uptime), client).await;
    *now = state.clock.moment_after(context.record.started).now();
    let Phase::Balancing(balancing) = &mut context.phase else { return Ok(None) };
    match end {
        End::Admitted(slot) => {
            balancing.exchange.admitted(decision, *now);
            context.sent(decision.at, slot, client, state, *now);
            Ok(Some(decision.at))
        }
        End::SentAway(cause) => {
            balancing.exchange.queue_closed(decision, cause);
            Ok(None)
        }
        End::TimedOut => {
            balancing.upstream.meters.queue_timeouts.inc();
            Ok(None)
        }
        End::ClientLeft => {
            let reason = balancing.exchange.client_gone(decision, *now);
            context.client_left(reason);
            Err(reply::client_left())
        }
    }
}

/// A socket that never ends.
const NO_SOCKET: i32 = -1;

async fn end(ticket: Ticket, timeout: Duration, client: Option<&ClientStream>) -> End {
    tokio::select! {
        biased;
        outcome = ticket => outcome.map_or_else(End::SentAway, End::Admitted),
        () = tokio::time::sleep(timeout) => End::TimedOut,
        () = client_gone::gone(client.and_then(ClientStream::watched_socket).unwrap_or(NO_SOCKET)) => End::ClientLeft,
    }
}
