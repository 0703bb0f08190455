//! Slots at full servers while requests end, arrive, give up and wait, and servers go down or are removed.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use burdock::config::Config;
use burdock::session::load_factor::LoadFactor;
use burdock::time::{Now, Skipped, Uptime};
use burdock::upstream::balance::Balance;
use burdock::upstream::failover::Cause;
use burdock::upstream::health::Health;
use burdock::upstream::queue::Slot;
use burdock::upstream::queue::Ticket;
use burdock::upstream::spec::UpstreamSpec;
use burdock::upstream::{Attempts, Placement, Upstream};
use rand::SeedableRng;
use rand::rngs::StdRng;
use shuttle::future::block_on;
use shuttle::thread;

use super::explore;

const AT: Now = Now { wall: super::NOW, subsec_millis: 0, uptime: Uptime(Duration::from_secs(60)), skipped: Skipped::NONE };

/// An upstream with two servers.
static SPEC: LazyLock<UpstreamSpec> = LazyLock::new(|| {
    let text = "listeners: ['127.0.0.1:80']\nupstreams: {shop: {servers: ['127.0.0.1:1', '127.0.0.1:2']}}\n";
    Config::parse("queue", text).unwrap_or_else(|errors| panic!("{errors}")).plan.upstreams.remove(0).upstream
});

const A: usize = 0;
const B: usize = 1;

/// An upstream, and the number of requests that each of its servers is processing.
struct Shop {
    upstream: Upstream,
    active: [AtomicU32; 2],
}

/// Whether a request belongs to a session.
#[derive(Clone, Copy)]
enum Kind {
    Tied,
    New,
}

impl Shop {
    /// Each server has this many slots.
    fn open(slots: u32) -> Arc<Self> {
        let mut spec = SPEC.clone();
        spec.servers.iter_mut().for_each(|server| Arc::make_mut(server).max_conns = NonZeroU32::new(slots));
        Arc::new(Self { upstream: Upstream::new(spec, None, AT), active: Default::default() })
    }

    /// Takes a slot at the server.
    fn occupy(&self, at: usize) -> Slot {
        self.upstream.admit_tied(at, &Attempts::default(), AT).unwrap().slot
    }

    /// A slot at the server, or a ticket for one.
    fn ask(&self, at: usize, kind: Kind) -> Result<Slot, Ticket> {
        let (upstream, tried) = (&self.upstream, &Attempts::default());
        let taken = match kind {
            Kind::Tied => upstream.admit_tied(at, tried, AT).ok(),
            Kind::New => upstream.admit_new(at, tried, AT),
        };
        let queued = || match kind {
            Kind::Tied => upstream.queue_tied(at, None, tried, AT),
            Kind::New => upstream.queue_new(Placement::Balance(None), Some(at), tried, AT),
        };
        taken.map(|pick| pick.slot).ok_or_else(|| queued().unwrap().ticket)
    }

    fn wait(&self, at: usize, kind: Kind) -> Ticket {
        self.ask(at, kind).unwrap_err()
    }

    /// A whole request, including its wait for a slot.
    fn visit(&self, at: usize, kind: Kind) -> Result<(), Cause> {
        let slot = self.ask(at, kind).map_or_else(block_on, Ok)?;
        assert_eq!(self.active[at].fetch_add(1, SeqCst), 0, "two requests have the only slot");
        thread::yield_now();
        self.active[at].fetch_sub(1, SeqCst);
        drop(slot);
        Ok(())
    }

    /// A slot for a new session, wherever it is.
    fn pick(&self) -> Option<Slot> {
        let placed = self.upstream.place(Placement::Balance(None), &Attempts::default(), AT, &mut StdRng::seed_from_u64(1));
        placed.map(|pick| pick.slot)
    }

    fn assert_empty(&self) {
        for server in self.upstream.servers() {
            assert_eq!((server.in_flight(), server.waiting()), (0, 0));
        }
    }
}

fn spawn<T: Send + 'static>(shop: &Arc<Shop>, run: impl FnOnce(&Shop) -> T + Send + 'static) -> thread::JoinHandle<T> {
    let shop = Arc::clone(shop);
    thread::spawn(move || run(&shop))
}

/// Polls the ticket; while it is pending, it wakes this waker later.
fn poll(ticket: &mut Ticket, waker: &Waker) -> Poll<Result<Slot, Cause>> {
    Pin::new(ticket).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_slot_freed_while_others_join_is_never_lost() {
    explore(|| {
        let shop = Shop::open(1);
        let held = shop.occupy(A);
        let mut threads = vec![spawn(&shop, |_| drop(held))];
        threads.extend([Kind::Tied, Kind::New].map(|kind| spawn(&shop, move |shop| shop.visit(A, kind).unwrap())));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shop.assert_empty();
    });
}

#[test]
fn a_waiter_that_gives_up_keeps_no_slot() {
    explore(|| {
        let shop = Shop::open(1);
        let held = shop.occupy(A);
        let (mut leaving, waiting) = (shop.wait(A, Kind::Tied), shop.wait(A, Kind::New));
        let threads = [
            spawn(&shop, |_| drop(held)),
            spawn(&shop, move |_| drop((poll(&mut leaving, Waker::noop()), leaving))),
            spawn(&shop, |_| drop(block_on(waiting).unwrap())),
            spawn(&shop, |shop| drop(shop.ask(A, Kind::Tied))),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shop.assert_empty();
    });
}

/// A task that ends when it is woken, and releases its slot at another server.
struct ReleaseOnWake(Mutex<Option<Slot>>);

impl Wake for ReleaseOnWake {
    fn wake(self: Arc<Self>) {
        let slot = self.0.lock().unwrap().take();
        drop(slot);
    }
}

#[test]
fn the_queues_of_two_servers_never_deadlock() {
    explore(|| {
        let shop = Shop::open(2);
        let (first, second) = ([A, B].map(|at| shop.occupy(at)), [A, B].map(|at| shop.occupy(at)));
        let (mut woken, waiting) = ([A, B].map(|at| shop.wait(at, Kind::Tied)), [A, B].map(|at| shop.wait(at, Kind::New)));
        let [at_a, at_b] = second;
        for (ticket, elsewhere) in woken.iter_mut().zip([at_b, at_a]) {
            let waker = Waker::from(Arc::new(ReleaseOnWake(Mutex::new(Some(elsewhere)))));
            assert!(poll(ticket, &waker).is_pending());
        }
        let mut threads: Vec<_> = first.into_iter().map(|held| spawn(&shop, |_| drop(held))).collect();
        threads.extend(waiting.map(|ticket| spawn(&shop, |_| drop(block_on(ticket).unwrap()))));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(woken);
        shop.assert_empty();
    });
}

#[test]
fn a_server_that_goes_down_or_is_removed_releases_its_waiters() {
    explore(|| {
        let shop = Shop::open(1);
        let _held = [A, B].map(|at| shop.occupy(at));
        let wait = |at| {
            // A server that is already down has no queue.
            spawn(&shop, move |shop| match shop.upstream.queue_tied(at, None, &Attempts::default(), AT) {
                Some(queued) => block_on(queued.ticket).unwrap_err(),
                None => Cause::Down,
            })
        };
        let waits = [A, B].map(wait);
        let down = spawn(&shop, |shop| shop.upstream.servers()[A].health_state().set(Health::Down, AT.uptime));
        let gone = spawn(&shop, |shop| {
            let mut spec = shop.upstream.spec().clone();
            spec.servers.truncate(B);
            shop.upstream.superseded(Some(&Upstream::new(spec, Some(&shop.upstream), AT)));
        });
        [down, gone].into_iter().for_each(|thread| thread.join().unwrap());
        let causes = waits.map(|thread| thread.join().unwrap());
        assert_eq!(causes, [Cause::Down, Cause::Unknown]);
    });
}

#[test]
fn no_free_slot_is_hidden_from_picks() {
    explore(|| {
        let mut spec = SPEC.clone();
        spec.balance = Balance::LeastConn;
        spec.servers.iter_mut().for_each(|server| Arc::make_mut(server).max_conns = NonZeroU32::new(2));
        let shop = Arc::new(Shop { upstream: Upstream::new(spec, None, AT), active: Default::default() });
        let mut held: Vec<Slot> = [A, A, B, B].map(|at| shop.occupy(at)).into();
        assert!(shop.pick().is_none());
        let threads = [
            spawn(&shop, move |_| held.drain(1..).for_each(drop)),
            spawn(&shop, |shop| drop((shop.pick(), shop.pick()))),
            spawn(&shop, |shop| drop(shop.pick())),
            spawn(&shop, |shop| {
                let health = shop.upstream.servers()[A].health_state();
                [Health::Down, Health::Up].into_iter().for_each(|now| health.set(now, AT.uptime));
                drop(shop.upstream.admit_tied(B, &Attempts::default(), AT));
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let picked: Vec<Slot> = std::iter::from_fn(|| shop.pick()).collect();
        assert_eq!(picked.len(), 4);
        let in_flight: Vec<u32> = shop.upstream.servers().iter().map(|server| server.in_flight()).collect();
        assert_eq!(in_flight, [2, 2]);
    });
}

#[test]
fn sums_for_a_load_factor_are_right_after_any_order() {
    explore(|| {
        let mut spec = SPEC.clone();
        spec.servers.iter_mut().for_each(|server| Arc::make_mut(server).max_conns = NonZeroU32::new(4));
        let shop = Arc::new(Shop { upstream: Upstream::new(spec, None, AT), active: Default::default() });
        let home = shop.upstream.home(b"ann").unwrap();
        let (bound, tried) = (LoadFactor::new(1.01).unwrap(), Attempts::default());
        let at_home = |shop: &Shop| shop.upstream.admit_home(home, Some(bound), &tried, AT).ok().map(|pick| pick.slot);
        let bounded = |shop: &Shop| {
            let placement = Placement::Bounded(b"ann", bound);
            shop.upstream.place(placement, &tried, AT, &mut StdRng::seed_from_u64(1)).map(|pick| (pick.at, pick.slot))
        };
        // The sums are kept from the second request on.
        drop((at_home(&shop), at_home(&shop)));
        let held = shop.occupy(home);
        let threads = [
            spawn(&shop, move |_| drop(held)),
            spawn(&shop, |shop| drop((shop.upstream.admit_tied(A, &Attempts::default(), AT), shop.pick()))),
            spawn(&shop, |shop| {
                let health = shop.upstream.servers()[A].health_state();
                [Health::Down, Health::Up].into_iter().for_each(|now| health.set(now, AT.uptime));
                drop(shop.pick());
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shop.assert_empty();
        // One more or less in the sum would let in three, or one.
        let two = [at_home(&shop), at_home(&shop)].map(Option::unwrap);
        assert!(at_home(&shop).is_none());
        let (other, slot) = bounded(&shop).unwrap();
        assert_ne!(other, home);
        drop((two, slot));
    });
}

#[test]
fn the_server_with_the_least_demand_is_known_after_any_order() {
    explore(|| {
        let mut spec = SPEC.clone();
        spec.queue.new_sessions = Some(Duration::from_secs(2));
        spec.servers.iter_mut().for_each(|server| Arc::make_mut(server).max_conns = NonZeroU32::new(1));
        let shop = Arc::new(Shop { upstream: Upstream::new(spec, None, AT), active: Default::default() });
        let wait = |shop: &Shop| shop.upstream.queue_new(Placement::Balance(None), None, &Attempts::default(), AT).unwrap();
        let _held = [A, B].map(|at| shop.occupy(at));
        let first = [wait(&shop), wait(&shop)];
        assert_ne!(first[0].at, first[1].at);
        let [leaves, stays] = first;
        let threads = [
            spawn(&shop, move |_| drop(leaves)),
            spawn(&shop, move |shop| drop(wait(shop))),
            spawn(&shop, move |shop| drop(shop.pick())),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_ne!(wait(&shop).at, stays.at);
    });
}
