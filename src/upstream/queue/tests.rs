//! A queue against a simple model, and with real threads.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ids::{ServerId, UpstreamName};
use crate::time::{Now, Skipped, UnixSeconds, Uptime};
use crate::upstream::balance::Balance;
use crate::upstream::failover::Failover;
use crate::upstream::health::Health;
use crate::upstream::health_state::{HealthState, Origin};
use crate::upstream::retry::Retry;
use crate::upstream::server::{Live, Server};
use crate::upstream::spec::{
    Address, Admin, ConnectionSharing, Limits, OnMarkedDown, QueueSpec, Removal, ServerSpec, Tier, Timeouts, UpstreamSpec,
    Weight,
};

const NOW: Now = Now {
    wall: UnixSeconds(1_800_000_000),
    subsec_millis: 0,
    uptime: Uptime(Duration::from_secs(60)),
    skipped: Skipped::NONE,
};
const LENGTH: u32 = 6;

fn server(max_conns: u32) -> Server {
    let queue = Arc::new(Queue::default());
    let upstream = UpstreamSpec {
        name: UpstreamName::parse("shop").unwrap(),
        servers: Vec::new(),
        discovery: Vec::new(),
        balance: Balance::RoundRobin,
        failover: Failover::default(),
        health_check: None,
        passive_health: None,
        panic_threshold: None,
        slow_start: None,
        on_marked_down: OnMarkedDown::default(),
        connections: ConnectionSharing::default(),
        timeouts: Timeouts::default(),
        tcp_keepalive: None,
        retry: Retry::default(),
        limits: Limits::default(),
        queue: QueueSpec::default(),
        removal: Removal::default(),
    };
    let state = Arc::new(HealthState::new(&upstream, Origin::Start, &queue, NOW));
    Server::new(Arc::new(spec(max_conns)), Arc::new(Live::default()), queue, state)
}

/// 0 means no limit.
fn spec(max_conns: u32) -> ServerSpec {
    ServerSpec {
        id: ServerId::parse("a").unwrap(),
        route: None,
        host: None,
        address: Address::Inet(([127, 0, 0, 1], 80).into()),
        weight: Weight::ONE,
        tier: Tier::Primary,
        max_conns: NonZeroU32::new(max_conns),
        admin: Admin::Ready,
    }
}

/// The same server with another configuration.
fn changed(server: &Server, change: impl FnOnce(&mut ServerSpec)) -> Server {
    let mut spec = (**server.spec()).clone();
    change(&mut spec);
    let server = Server::new(
        Arc::new(spec),
        Arc::clone(server.live()),
        Arc::clone(server.queue()),
        Arc::clone(server.health_state()),
    );
    server.in_force(NOW);
    server
}

fn limited(server: &Server, max_conns: u32) -> Server {
    changed(server, |spec| spec.max_conns = NonZeroU32::new(max_conns))
}

fn admit(server: &Server, rank: Rank) -> Option<Slot> {
    match rank {
        Rank::Tied => server.admit_tied(NOW).ok(),
        Rank::New => server.admit_new(),
    }
}

fn queue_up(server: &Server, rank: Rank) -> Ticket {
    server.queue_up(rank, LENGTH).unwrap()
}

/// The outcome of the ticket; None while it waits.
fn outcome(ticket: &mut Ticket) -> Option<Result<Slot, Cause>> {
    match Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

#[test]
fn tied_requests_go_before_new_ones_and_each_in_order() {
    let server = server(1);
    let mut held = admit(&server, Rank::Tied);
    let ranks = [Rank::New, Rank::Tied, Rank::New, Rank::Tied];
    let mut waiting: Vec<Ticket> = ranks.into_iter().map(|rank| queue_up(&server, rank)).collect();
    for next in [1, 3, 0, 2] {
        assert!(waiting.iter_mut().all(|ticket| outcome(ticket).is_none()));
        drop(held.take());
        held = Some(outcome(&mut waiting[next]).unwrap().unwrap());
    }
    drop(held);
    assert_eq!((server.in_flight(), server.waiting()), (0, 0));
}

#[test]
fn only_tied_requests_overtake_waiting_new_ones() {
    let server = server(10);
    let held: Vec<Slot> = (0..9).map(|_| admit(&server, Rank::New).unwrap()).collect();
    assert!(admit(&server, Rank::New).is_none());
    let mut new = queue_up(&server, Rank::New);
    let tenth = admit(&server, Rank::Tied).unwrap();
    assert!(admit(&server, Rank::Tied).is_none());
    let mut tied = queue_up(&server, Rank::Tied);
    drop(tenth);
    let tenth = outcome(&mut tied).unwrap().unwrap();
    assert!(outcome(&mut new).is_none(), "the last slot is not for new sessions");
    drop(tenth);
    assert!(outcome(&mut new).is_none(), "nine are in flight");
    drop(held);
    assert!(outcome(&mut new).unwrap().is_ok());
}

#[test]
fn joining_takes_a_free_slot_at_once() {
    let server = server(1);
    let slot = outcome(&mut queue_up(&server, Rank::Tied)).unwrap();
    assert!(slot.is_ok());
    assert_eq!((server.in_flight(), server.waiting()), (1, 0));
}

#[test]
fn a_new_request_does_not_take_slots_of_waiting_ones() {
    let server = server(1);
    let _held = admit(&server, Rank::Tied);
    let mut waiting = queue_up(&server, Rank::Tied);
    // Published, and not yet applied to waiting requests.
    let spec = Arc::new(ServerSpec { max_conns: NonZeroU32::new(2), ..(**server.spec()).clone() });
    let published =
        Server::new(spec, Arc::clone(server.live()), Arc::clone(server.queue()), Arc::clone(server.health_state()));
    assert!([Rank::Tied, Rank::New].into_iter().all(|rank| admit(&published, rank).is_none()));
    published.in_force(NOW);
    assert!(outcome(&mut waiting).unwrap().is_ok());
}

#[test]
fn a_queue_has_a_maximum_length() {
    let server = server(1);
    let _held = admit(&server, Rank::Tied);
    let waiting: Vec<Ticket> = (0..LENGTH).map(|_| queue_up(&server, Rank::New)).collect();
    assert!(server.queue_up(Rank::Tied, LENGTH).is_none());
    drop(waiting);
    let _last = queue_up(&server, Rank::Tied);
    assert!(server.queue_up(Rank::Tied, 0).is_none());
}

#[test]
fn without_max_conns_there_is_no_queue() {
    assert!(server(0).queue_up(Rank::Tied, LENGTH).is_none());
}

#[test]
fn a_dropped_ticket_frees_its_place_and_slot() {
    let server = server(1);
    let held = admit(&server, Rank::Tied);
    let [first, second, mut third] = [Rank::Tied; 3].map(|rank| queue_up(&server, rank));
    drop(second);
    assert_eq!(server.waiting(), 2);
    drop(held);
    assert_eq!((server.in_flight(), server.waiting()), (1, 1));
    drop(first);
    assert!(outcome(&mut third).unwrap().is_ok(), "the slot of the dropped ticket goes to the next");
    assert_eq!((server.in_flight(), server.waiting()), (0, 0));
}

#[test]
fn a_higher_limit_admits_waiting_requests() {
    let server = server(1);
    let _held = admit(&server, Rank::Tied);
    let mut waiting = [Rank::Tied, Rank::New, Rank::New].map(|rank| queue_up(&server, rank));
    let server = limited(&server, 2);
    let first = outcome(&mut waiting[0]).unwrap();
    assert!(outcome(&mut waiting[1]).is_none());
    let server = limited(&server, 0);
    assert!(waiting[1..].iter_mut().all(|ticket| outcome(ticket).unwrap().is_ok()));
    drop((first, server));
}

#[test]
fn a_lower_limit_admits_no_request_before_there_is_room() {
    let server = server(3);
    let mut held: Vec<Slot> = (0..3).map(|_| admit(&server, Rank::Tied).unwrap()).collect();
    let mut waiting = queue_up(&server, Rank::Tied);
    let server = limited(&server, 1);
    for _ in 0..2 {
        held.pop();
        assert!(outcome(&mut waiting).is_none());
    }
    held.pop();
    assert!(outcome(&mut waiting).unwrap().is_ok());
    assert_eq!(server.waiting(), 0);
}

#[test]
fn a_server_down_or_in_maintenance_rejects_waiting_requests() {
    for (cause, change) in [(Cause::Down, None), (Cause::Maint, Some(Admin::Maint))] {
        let server = server(1);
        let _held = admit(&server, Rank::Tied);
        let mut waiting = [Rank::Tied, Rank::New].map(|rank| queue_up(&server, rank));
        match change {
            Some(admin) => drop(changed(&server, |spec| spec.admin = admin)),
            None => server.health_state().set(Health::Down, NOW.uptime),
        }
        for ticket in &mut waiting {
            assert_eq!(outcome(ticket).unwrap().unwrap_err(), cause);
        }
        assert_eq!(server.waiting(), 0);
    }
}

#[test]
fn a_draining_server_rejects_waiting_new_requests() {
    let server = server(1);
    let _held = admit(&server, Rank::Tied);
    let [mut tied, mut new] = [Rank::Tied, Rank::New].map(|rank| queue_up(&server, rank));
    let server = changed(&server, |spec| spec.admin = Admin::DRAIN);
    assert!(outcome(&mut new).unwrap().is_err());
    assert!(outcome(&mut tied).is_none());
    assert_eq!(server.waiting(), 1);
}

#[test]
fn a_request_that_joins_a_down_server_is_rejected() {
    let server = server(1);
    let _held = admit(&server, Rank::Tied);
    server.health_state().set(Health::Down, NOW.uptime);
    assert_eq!(outcome(&mut queue_up(&server, Rank::Tied)).unwrap().unwrap_err(), Cause::Down);
}

#[test]
fn a_removed_server_rejects_waiting_and_later_requests() {
    let server = server(1);
    let held = admit(&server, Rank::Tied);
    let waiting = [Rank::Tied, Rank::New].map(|rank| queue_up(&server, rank));
    server.queue().end();
    let late = [Rank::Tied, Rank::New].map(|rank| queue_up(&server, rank));
    for mut ticket in waiting.into_iter().chain(late) {
        assert_eq!(outcome(&mut ticket).unwrap().unwrap_err(), Cause::Unknown);
    }
    drop(held);
    assert_eq!((server.in_flight(), server.waiting()), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(Rank),
    /// A waiting request leaves.
    Leave(usize),
    /// A request in flight finishes.
    Finish(usize),
    Limit(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let rank = prop_oneof![Just(Rank::Tied), Just(Rank::New)];
    prop_oneof![
        4 => rank.prop_map(Step::Arrive),
        1 => any::<usize>().prop_map(Step::Leave),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => (0_u32..14).prop_map(Step::Limit),
    ]
}

/// The rules of the queue, in the simplest form.
#[derive(Default)]
struct Model {
    max: u32,
    in_flight: Vec<u32>,
    tied: VecDeque<u32>,
    new: VecDeque<u32>,
}

impl Model {
    fn limit(&self, rank: Rank) -> usize {
        match (self.max, rank) {
            (0, _) => usize::MAX,
            (max, Rank::Tied) => max as usize,
            (max, Rank::New) => (max - max / 10) as usize,
        }
    }

    fn waiting(&self) -> usize {
        self.tied.len() + self.new.len()
    }

    fn arrive(&mut self, who: u32, rank: Rank) {
        let may_wait = self.max > 0 && self.waiting() < LENGTH as usize;
        let blocked = match rank {
            Rank::Tied => !self.tied.is_empty(),
            Rank::New => self.waiting() > 0,
        };
        if !blocked && self.in_flight.len() < self.limit(rank) {
            self.in_flight.push(who);
        } else if may_wait {
            match rank {
                Rank::Tied => self.tied.push_back(who),
                Rank::New => self.new.push_back(who),
            }
        }
    }

    fn settle(&mut self) {
        while self.in_flight.len() < self.limit(Rank::Tied)
            && let Some(next) = self.tied.pop_front()
        {
            self.in_flight.push(next);
        }
        while self.tied.is_empty()
            && self.in_flight.len() < self.limit(Rank::New)
            && let Some(next) = self.new.pop_front()
        {
            self.in_flight.push(next);
        }
    }

    fn forget(&mut self, who: u32) {
        self.tied.retain(|&other| other != who);
        self.new.retain(|&other| other != who);
        self.in_flight.retain(|&other| other != who);
    }
}

proptest! {
    #[test]
    fn a_queue_behaves_like_its_model(max in 0_u32..14, steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model { max, ..Model::default() };
        let mut server = server(max);
        let mut waiting: Vec<(u32, Ticket)> = Vec::new();
        let mut in_flight: Vec<(u32, Slot)> = Vec::new();
        for (who, step) in (0..).zip(steps) {
            match step {
                Step::Arrive(rank) => {
                    model.arrive(who, rank);
                    match admit(&server, rank) {
                        Some(slot) => in_flight.push((who, slot)),
                        None => waiting.extend(server.queue_up(rank, LENGTH).map(|ticket| (who, ticket))),
                    }
                }
                Step::Leave(nth) if !waiting.is_empty() => {
                    let (who, ticket) = waiting.swap_remove(nth % waiting.len());
                    model.forget(who);
                    drop(ticket);
                }
                Step::Finish(nth) if !in_flight.is_empty() => {
                    let (who, slot) = in_flight.swap_remove(nth % in_flight.len());
                    model.forget(who);
                    drop(slot);
                }
                Step::Limit(max) => {
                    model.max = max;
                    server = limited(&server, max);
                }
                Step::Leave(_) | Step::Finish(_) => {}
            }
            model.settle();
            waiting.retain_mut(|(who, ticket)| match outcome(ticket) {
                Some(slot) => {
                    in_flight.push((*who, slot.unwrap()));
                    false
                }
                None => true,
            });
            let mut real: Vec<u32> = in_flight.iter().map(|&(who, _)| who).collect();
            let mut expected = model.in_flight.clone();
            real.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(real, expected);
            prop_assert_eq!((server.in_flight() as usize, server.waiting() as usize), (model.in_flight.len(), model.waiting()));
        }
        drop((waiting, in_flight));
        prop_assert_eq!((server.in_flight(), server.waiting()), (0, 0));
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the ticket gets a slot; one that never comes is lost.
fn wait(mut ticket: Ticket) -> Slot {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    for _ in 0..1000 {
        if let Poll::Ready(outcome) = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)) {
            return outcome.unwrap();
        }
        std::thread::park_timeout(Duration::from_secs(10));
    }
    panic!("the ticket never got a slot");
}

#[test]
fn with_threads_no_slot_is_lost_or_given_twice() {
    const MAX: u32 = 3;
    let (server, inside) = (server(MAX), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let (server, inside) = (&server, &inside);
            scope.spawn(move || {
                // Any random sequence will do, if each thread has a different one.
                let mut state: u64 = seed;
                let mut one_of = |count: u64| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33).is_multiple_of(count)
                };
                for _ in 0..3_000 {
                    let rank = if one_of(2) { Rank::Tied } else { Rank::New };
                    let slot = match admit(server, rank) {
                        Some(slot) => slot,
                        None => {
                            let ticket = server.queue_up(rank, 100).unwrap();
                            if one_of(5) {
                                std::thread::yield_now();
                                drop(ticket);
                                continue;
                            }
                            wait(ticket)
                        }
                    };
                    assert!(inside.fetch_add(1, SeqCst) < MAX);
                    if one_of(2) {
                        std::thread::yield_now();
                    }
                    inside.fetch_sub(1, SeqCst);
                    drop(slot);
                }
            });
        }
    });
    assert_eq!((server.in_flight(), server.waiting()), (0, 0));
}
