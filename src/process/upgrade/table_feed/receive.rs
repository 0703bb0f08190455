//! Receives the other process's session tables, and applies its changes.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Loader, Next, Precedence, next};
use burdock::table::{Table, TableName};
use burdock::time::UnixSeconds;

use super::link::{Link, LinkedTable, Phase, Sent};
use crate::process::upgrade::protocol::{Exchange, Message, read};
use crate::runtime::clock::Clock;

/// Fills tables that are not in use yet with what another process sends, and returns the names of those that were filled.
///
/// # Errors
/// If the connection ends before all tables are sent.
pub fn receive(
    from: &mut impl Read,
    tables: &[Arc<Table>],
    key: FingerprintKeyId,
    clock: &Clock,
) -> io::Result<HashSet<TableName>> {
    let (begun, moment) = (clock.uptime(), clock.moment());
    let now = moment.now().wall;
    tables.iter().for_each(|table| table.skip(moment.skipped));
    let mut loaders: Vec<_> = tables.iter().map(|table| (table, Loader::new(table, Precedence::Stored))).collect();
    let (mut received, mut current) = (HashSet::new(), None);
    loop {
        match read(from)? {
            Message::Table(header) => current = Some(header).filter(|header| header.key == key),
            Message::Blocks(bytes) => {
                let Some(header) = &current else { continue };
                if let Some((_, loader)) = loaders.iter_mut().find(|(table, _)| table.spec().name == header.table) {
                    load(&bytes, loader, now);
                    received.insert(header.table.clone());
                }
            }
            Message::Complete => break,
            Message::Hello(_)
            | Message::Handoff(_)
            | Message::Prepared
            | Message::Refused(_)
            | Message::Serving
            | Message::Mark(_)
            | Message::Ack(_)
            | Message::State(_)
            | Message::Idle => {}
        }
    }
    for (table, loader) in loaders {
        let skipped = loader.finish().skipped;
        if skipped > 0 {
            log::warn!("table {}: skipped {skipped} sessions without a usable server", table.spec().name);
        }
    }
    let took = clock.uptime().since(begun);
    for table in tables.iter().filter(|table| received.contains(&table.spec().name)) {
        log::info!("table {}: {} sessions, from the running process in {took:?}", table.spec().name, live(table, now));
    }
    Ok(received)
}

/// The number of live sessions.
fn live(table: &Table, now: UnixSeconds) -> u64 {
    table.servers().iter().map(|(index, _)| table.count(*index, now)).sum()
}

/// Applies the messages about tables that the other process sends.
#[derive(Debug)]
pub struct Incoming {
    link: Link,
    /// The table of the next blocks.
    current: Option<usize>,
}

impl Incoming {
    pub fn new(link: Link) -> Self {
        Self { link, current: None }
    }

    /// Applies a message, or returns it if it is not about tables.
    pub fn take(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Table(header) => self.current = self.find(&header),
            Message::Blocks(bytes) => self.apply(&bytes),
            Message::Mark(number) => self.confirm(number),
            Message::Ack(number) => self.complete(number),
            Message::Idle => {
                self.link.progress.set_phase(Phase::Withdrawn);
                return Some(Message::Idle);
            }
            other @ (Message::Hello(_)
            | Message::Handoff(_)
            | Message::Complete
            | Message::Prepared
            | Message::Refused(_)
            | Message::Serving
            | Message::State(_)) => return Some(other),
        }
        None
    }

    /// Confirms a mark at once if no third process must confirm it too, or leaves that to the other thread.
    fn confirm(&self, number: u64) {
        let confirmations = self.link.tables.iter().filter_map(|table| table.feed.confirmation_of_others());
        let open: Vec<_> = confirmations.filter(|confirmation| !confirmation.is_ready()).collect();
        let sent = if open.is_empty() { self.link.outbox.try_send(&Message::Ack(number)) } else { Sent::No };
        if sent == Sent::No {
            self.link.progress.mark(number, open, self.link.clock.uptime());
        }
    }

    /// The other process has confirmed a mark.
    fn complete(&self, number: u64) {
        let open = self.link.progress.update(|state| state.open.take_if(|open| open.mark <= number));
        let Some(open) = open else { return };
        let in_time = self.link.clock.uptime().since(open.begun) <= self.link.at_most;
        self.link.complete(open.rounds);
        if in_time {
            self.link.tables.iter().for_each(|table| table.feed.keeps_up());
        }
    }

    fn find(&self, header: &Header) -> Option<usize> {
        let is_it = |table: &LinkedTable| table.feed.table().spec().name == header.table;
        self.link.tables.iter().position(is_it).filter(|_| header.key == self.link.key)
    }

    fn apply(&self, bytes: &[u8]) {
        let Some(table) = self.current.map(|at| &self.link.tables[at]) else { return };
        let moment = self.link.clock.moment();
        let now = moment.now().wall;
        table.feed.table().skip(moment.skipped);
        match self.link.exchange {
            Exchange::BothWays => load(bytes, &mut Loader::of_peer(&table.feed), now),
            Exchange::OneWay => load(bytes, &mut Loader::new(table.feed.table(), Precedence::Later), now),
        }
    }
}

fn load(mut bytes: &[u8], loader: &mut Loader<'_>, now: UnixSeconds) {
    loop {
        let passed = match next(bytes) {
            Next::Block { payload, bytes } => {
                loader.apply(payload, now);
                bytes
            }
            Next::Damaged { bytes } => bytes,
            Next::Needs(_) | Next::Nothing => return,
        };
        bytes = bytes.get(passed..).unwrap_or_default();
    }
}
