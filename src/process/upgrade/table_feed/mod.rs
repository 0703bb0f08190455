//! Keeps the session tables of two processes alike during an upgrade, over the upgrade's socket, as blocks in the file format.
//!
//! Each process has two threads for it: one sends ([`send::TableFeed`]), one receives ([`receive::Incoming`]).
//!
//! 1. The old process subscribes to each table and sends all of it, then reports that all tables are sent, and from then on sends
//!    changes: at once when a response waits, else every 20 ms. If a feed has lost changes, it sends the whole table again.
//! 2. The new process subscribes to its tables when it has them all, and sends its own changes.
//! 3. After changes comes a mark. The other process confirms it when it has applied what came before, and when the process on its
//!    other side, if there is one, has confirmed that too. Only then is the round complete, and a response that waits for it goes
//!    out: a client that receives a session may use it at either process at once.
//! 4. Responses of the new process wait from the start; those of the old one when the new one gets the listening sockets
//!    ([`send::TableFeed::await_changes`]). A wait has a limit, and after five late ones nobody waits until the other keeps up.
//! 5. It ends when the old process takes no more requests, when either process ends, or when one stops reading.
//!
//! A process of an older version neither sends its changes to the old process nor confirms any: then the old one sends, a round is
//! complete when it is sent, and the state that was seen later counts ([`Exchange::OneWay`](super::protocol::Exchange::OneWay)).

mod link;
pub mod receive;
pub mod send;
#[cfg(test)]
mod tests;

pub use link::{Link, Outbox};
