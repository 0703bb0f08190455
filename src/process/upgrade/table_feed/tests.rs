//! Two and three processes in one, with real sockets between them.

use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use burdock::ids::ServerId;
use burdock::session::clock_steps::ClockSteps;
use burdock::session::fingerprint::Fingerprint;
use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::session::lifetime::Lifetime;
use burdock::table::{Budget, Confirmation, Known, Patience, Persist, Table, TableName, TableSpec};
use burdock::time::{UnixSeconds, Uptime};

use super::link::Phase;
use super::receive::{Incoming, receive};
use super::send::{First, TableFeed, WAIT_TIMEOUT};
use super::{Link, Outbox};
use crate::control::handoff::ProcessHandoff;
use crate::control::state::Follower;
use crate::process::upgrade::protocol::{Exchange, read};
use crate::runtime::clock::Clock;

const KEY: FingerprintKeyId = FingerprintKeyId(*b"01234567");

fn table() -> Arc<Table> {
    table_with(Lifetime::default())
}

fn table_with(lifetime: Lifetime) -> Arc<Table> {
    let name = TableName::parse("t").unwrap();
    let capacity = NonZeroU32::new(1_000).unwrap();
    // Persistence makes no difference here.
    Arc::new(Table::new(TableSpec { name, capacity, lifetime, persist: Persist::Off }))
}

fn name(n: u8) -> Fingerprint {
    Fingerprint::from_bytes([n; 16])
}

fn tie(table: &Table, n: u8, clock: Clock) {
    let server = table.register(&ServerId::parse("a").unwrap()).unwrap();
    table.tie(name(n), &server, Budget::Within, clock.moment().now().date());
}

fn has(table: &Table, n: u8, clock: Clock) -> bool {
    matches!(table.find(name(n), clock.moment().now().wall), Known::Session(_))
}

fn link(stream: UnixStream, exchange: Exchange, table: &Arc<Table>, clock: Clock) -> Link {
    Link::new(Outbox::new(stream).unwrap(), exchange, std::slice::from_ref(table), KEY, clock)
}

/// One end of a connection: the feed and the thread that receives, until the connection ends.
struct End {
    feed: TableFeed,
    stream: UnixStream,
    receiving: JoinHandle<()>,
}

fn end(link: Link, first: First) -> End {
    let (stream, mut from) = (link.outbox.reader().unwrap(), link.outbox.reader().unwrap());
    let mut incoming = Incoming::new(link.clone());
    let receiving = std::thread::spawn(move || {
        while let Ok(message) = read(&mut from) {
            incoming.take(message);
        }
    });
    End { feed: TableFeed::start(link, first, Box::new(ProcessHandoff::default)).unwrap(), stream, receiving }
}

impl End {
    fn close(self) {
        self.feed.finish();
        drop(self.feed);
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A new process's table, filled by the old one, and its end of the connection.
fn successor(stream: UnixStream, exchange: Exchange, clock: Clock) -> (Arc<Table>, Link) {
    let table = table();
    let filled = receive(&mut stream.try_clone().unwrap(), std::slice::from_ref(&table), KEY, &clock).unwrap();
    assert!(filled.contains(&table.spec().name));
    let link = link(stream, exchange, &table, clock);
    (table, link)
}

/// An old and a new process, connected.
fn pair(old: &Arc<Table>, clock: Clock) -> (End, Arc<Table>, End) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ours = end(link(ours, Exchange::BothWays, old, clock), First::Tables);
    let (new, link) = successor(theirs, Exchange::BothWays, clock);
    assert!(ours.feed.has_sent_tables(WAIT_TIMEOUT));
    (ours, new, end(link, First::Changes))
}

async fn confirmed(table: &Arc<Table>) {
    tokio::time::timeout(WAIT_TIMEOUT, Confirmation::of(table).unwrap()).await.unwrap();
}

#[test]
fn a_new_process_receives_all_sessions_and_changes() {
    let clock = Clock::start();
    for exchange in [Exchange::BothWays, Exchange::OneWay] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let running = table();
        (0..100).for_each(|n| tie(&running, n, clock));
        let old = end(link(ours, exchange, &running, clock), First::Tables);
        tie(&running, 100, clock);
        let (new, link) = successor(theirs, exchange, clock);
        assert!(old.feed.has_sent_tables(WAIT_TIMEOUT));
        tie(&running, 101, clock);
        running.forget(name(7), clock.moment().now().date());
        let theirs = end(link, First::Changes);
        old.close();
        theirs.receiving.join().unwrap();
        let missing: Vec<u8> = (0..102).filter(|n| !has(&new, *n, clock)).collect();
        assert_eq!(missing, [7], "{exchange:?}");
    }
}

#[test]
fn sessions_from_before_a_step_of_the_clock_reach_the_new_process() {
    let (uptime, lifetime) = (Uptime(Duration::from_secs(7_200)), Lifetime { idle: Some(600), life: None });
    let wall = Clock::start().moment().now().wall;
    // An hour was skipped while nobody used the sessions.
    let steps = ClockSteps::default();
    steps.observe(UnixSeconds(wall.0 - 3_700).into(), uptime);
    steps.observe(UnixSeconds(wall.0 - 100).into(), uptime);
    let clock = Clock::after(uptime.plus(Duration::from_secs(100)), steps.handoff());
    for exchange in [Exchange::BothWays, Exchange::OneWay] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let running = table_with(lifetime);
        running.skip(clock.moment().skipped);
        let server = running.register(&ServerId::parse("a").unwrap()).unwrap();
        running.tie(name(1), &server, Budget::Within, UnixSeconds(wall.0 - 3_800));
        let old = end(link(ours, exchange, &running, clock), First::Tables);
        let new = table_with(lifetime);
        receive(&mut theirs.try_clone().unwrap(), std::slice::from_ref(&new), KEY, &clock).unwrap();
        assert!(has(&new, 1, clock), "{exchange:?}");
        assert!(old.feed.has_sent_tables(WAIT_TIMEOUT));
        // A table that no request has used.
        let later = table_with(lifetime);
        let theirs = end(link(theirs, exchange, &later, clock), First::Changes);
        running.tie(name(2), &server, Budget::Within, UnixSeconds(wall.0 - 3_790));
        old.close();
        theirs.receiving.join().unwrap();
        assert!(has(&later, 2, clock), "{exchange:?}");
    }
}

#[tokio::test]
async fn a_confirmed_session_is_known_at_all_three_processes() {
    let clock = Clock::start();
    let first = table();
    let (one, second, two) = pair(&first, clock);
    let (three, third, four) = pair(&second, clock);
    [&one, &three].into_iter().for_each(|end| end.feed.await_changes());
    let tables = [&first, &second, &third];
    for n in 0..60_u8 {
        let at = tables[usize::from(n) % 3];
        tie(at, n, clock);
        confirmed(at).await;
        assert!(tables.iter().all(|table| has(table, n, clock)), "session {n}");
    }
    second.forget(name(1), clock.moment().now().date());
    confirmed(&second).await;
    assert!(!tables.iter().any(|table| has(table, 1, clock)));
    [two, one, four, three].into_iter().for_each(End::close);
}

#[tokio::test]
async fn responses_wait_only_from_handover_until_the_feed_ends() {
    let clock = Clock::start();
    let running = table();
    let (old, new, theirs) = pair(&running, clock);
    assert!(Confirmation::of(&running).is_none());
    old.feed.await_changes();
    tie(&running, 1, clock);
    confirmed(&running).await;
    assert!(has(&new, 1, clock));
    old.close();
    assert!(Confirmation::of(&running).is_none());
    theirs.receiving.join().unwrap();
}

#[test]
fn a_withdrawn_feed_leaves_no_response_waiting() {
    let clock = Clock::start();
    let running = table();
    let (old, _new, theirs) = pair(&running, clock);
    old.feed.await_changes();
    assert!(Confirmation::of(&running).is_some());
    let progress = Arc::clone(old.feed.progress());
    drop(old.feed);
    assert_eq!(progress.wait_while(|state| state.phase != Phase::Ended, WAIT_TIMEOUT), Phase::Ended);
    assert!(Confirmation::of(&running).is_none());
    drop(theirs);
}

#[tokio::test]
async fn nobody_waits_for_a_process_that_has_stopped_until_it_keeps_up_again() {
    let (clock, (ours, theirs)) = (Clock::start(), UnixStream::pair().unwrap());
    let running = table();
    let old = end(link(ours, Exchange::BothWays, &running, clock), First::Tables);
    let (_new, link) = successor(theirs, Exchange::BothWays, clock);
    assert!(old.feed.has_sent_tables(WAIT_TIMEOUT));
    // The new process reads nothing yet.
    old.feed.await_changes();
    let mut late = 0;
    for n in 0..50 {
        tie(&running, n, clock);
        let Some(mut confirmation) = Confirmation::of(&running) else { break };
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut confirmation).await.is_err());
        late += 1;
        assert_eq!(confirmation.run_out() == Patience::Lost, late == 5);
    }
    assert_eq!((late, running.late_confirmations()), (5, 5));
    let theirs = end(link, First::Changes);
    for n in 50.. {
        tie(&running, n, clock);
        if Confirmation::of(&running).is_some() {
            break;
        }
        assert!(n < 250, "it keeps up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    theirs.close();
}

#[test]
fn an_idle_process_is_sent_nothing_more() {
    let clock = Clock::start();
    let running = table();
    let (old, new, theirs) = pair(&running, clock);
    old.feed.idle();
    assert_eq!(theirs.feed.progress().wait_while(|state| state.phase != Phase::Ended, WAIT_TIMEOUT), Phase::Ended);
    assert!(Confirmation::of(&new).is_none());
}
