//! Places at servers that are full, while requests end, come, give up and wait, and servers go down and away.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use burdock::config::Config;
use burdock::time::{Now, Uptime};
use burdock::upstream::failover::Cause;
use burdock::upstream::health::Health;
use burdock::upstream::queue::Slot;
use burdock::upstream::queue::Ticket;
use burdock::upstream::spec::UpstreamSpec;
use burdock::upstream::{Attempts, Placement, Upstream};
use shuttle::future::block_on;
use shuttle::thread;

use super::explore;

const AT: Now = Now { wall: super::NOW, uptime: Uptime(Duration::from_secs(60)) };

/// Two servers.
static SPEC: LazyLock<UpstreamSpec> = LazyLock::new(|| {
    let text = "listeners: ['127.0.0.1:80']\nupstreams: {shop: {servers: ['127.0.0.1:1', '127.0.0.1:2']}}\n";
    Config::parse("queue", text).unwrap_or_else(|errors| panic!("{errors}")).plan.upstreams.remove(0).upstream
});

const A: usize = 0;
const B: usize = 1;

/// An upstream, and how many are at work at each of its servers.
struct Shop {
    upstream: Upstream,
    inside: [AtomicU32; 2],
}

/// Whose session it is.
#[derive(Clone, Copy)]
enum Who {
    Tied,
    New,
}

impl Shop {
    /// Its servers have so many places each.
    fn open(places: u32) -> Arc<Self> {
        let mut spec = SPEC.clone();
        spec.servers.iter_mut().for_each(|server| Arc::make_mut(server).max_conns = NonZeroU32::new(places));
        Arc::new(Self { upstream: Upstream::new(spec, None, AT), inside: Default::default() })
    }

    /// A request that has a place at the server.
    fn occupy(&self, at: usize) -> Slot {
        self.upstream.admit_tied(at, &Attempts::default(), AT).unwrap().slot
    }

    /// A place there, or a ticket for one.
    fn ask(&self, at: usize, who: Who) -> Result<Slot, Ticket> {
        let (upstream, tried) = (&self.upstream, &Attempts::default());
        let taken = match who {
            Who::Tied => upstream.admit_tied(at, tried, AT).ok(),
            Who::New => upstream.admit_new(at, tried),
        };
        let queued = || match who {
            Who::Tied => upstream.queue_tied(at, None, tried, AT),
            Who::New => upstream.queue_new(Placement::Balance(None), Some(at), tried),
        };
        taken.map(|pick| pick.slot).ok_or_else(|| queued().unwrap().ticket)
    }

    fn wait(&self, at: usize, who: Who) -> Ticket {
        self.ask(at, who).unwrap_err()
    }

    /// A whole request, however long it has to wait.
    fn visit(&self, at: usize, who: Who) -> Result<(), Cause> {
        let slot = self.ask(at, who).map_or_else(block_on, Ok)?;
        assert_eq!(self.inside[at].fetch_add(1, SeqCst), 0, "two have the one place");
        thread::yield_now();
        self.inside[at].fetch_sub(1, SeqCst);
        drop(slot);
        Ok(())
    }

    fn nothing_is_left(&self) {
        for server in self.upstream.servers() {
            assert_eq!((server.in_flight(), server.waiting()), (0, 0));
        }
    }
}

fn spawn<T: Send + 'static>(shop: &Arc<Shop>, run: impl FnOnce(&Shop) -> T + Send + 'static) -> thread::JoinHandle<T> {
    let shop = Arc::clone(shop);
    thread::spawn(move || run(&shop))
}

/// Whether it has been told something; if not, it has this task called.
fn poll(ticket: &mut Ticket, waker: &Waker) -> Poll<Result<Slot, Cause>> {
    Pin::new(ticket).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_place_that_becomes_free_while_others_join_is_never_lost() {
    explore(|| {
        let shop = Shop::open(1);
        let held = shop.occupy(A);
        let mut threads = vec![spawn(&shop, |_| drop(held))];
        threads.extend([Who::Tied, Who::New].map(|who| spawn(&shop, move |shop| shop.visit(A, who).unwrap())));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shop.nothing_is_left();
    });
}

#[test]
fn who_gives_up_keeps_no_place() {
    explore(|| {
        let shop = Shop::open(1);
        let held = shop.occupy(A);
        let (mut leaving, waiting) = (shop.wait(A, Who::Tied), shop.wait(A, Who::New));
        let threads = [
            spawn(&shop, |_| drop(held)),
            spawn(&shop, move |_| drop((poll(&mut leaving, Waker::noop()), leaving))),
            spawn(&shop, |_| drop(block_on(waiting).unwrap())),
            spawn(&shop, |shop| drop(shop.ask(A, Who::Tied))),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shop.nothing_is_left();
    });
}

/// A task that ends when it is called, and gives back a place that it has at another server.
struct Ends(Mutex<Option<Slot>>);

impl Wake for Ends {
    fn wake(self: Arc<Self>) {
        let slot = self.0.lock().unwrap().take();
        drop(slot);
    }
}

#[test]
fn the_queues_of_two_servers_never_wait_for_each_other() {
    explore(|| {
        let shop = Shop::open(2);
        let (first, second) = ([A, B].map(|at| shop.occupy(at)), [A, B].map(|at| shop.occupy(at)));
        let (mut called, waiting) = ([A, B].map(|at| shop.wait(at, Who::Tied)), [A, B].map(|at| shop.wait(at, Who::New)));
        let [at_a, at_b] = second;
        for (ticket, elsewhere) in called.iter_mut().zip([at_b, at_a]) {
            let waker = Waker::from(Arc::new(Ends(Mutex::new(Some(elsewhere)))));
            assert!(poll(ticket, &waker).is_pending());
        }
        let mut threads: Vec<_> = first.into_iter().map(|held| spawn(&shop, |_| drop(held))).collect();
        threads.extend(waiting.map(|ticket| spawn(&shop, |_| drop(block_on(ticket).unwrap()))));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(called);
        shop.nothing_is_left();
    });
}

#[test]
fn nobody_waits_at_a_server_that_goes_down_or_away() {
    explore(|| {
        let shop = Shop::open(1);
        let _held = [A, B].map(|at| shop.occupy(at));
        let wait = |at| {
            // Where it is seen to be down already, there is no queue.
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
