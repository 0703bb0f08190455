//! Client connections that end when their server goes down: which requests are at which server, where an upstream wants that,
//! and the handle by which a connection is told.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Waker};

use burdock::upstream::server::{Live, Server};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Requests register in one of these by their server, so that few of them meet.
const PARTS: usize = 64;

/// Who is at which server.
#[derive(Debug)]
pub struct Cuts([Mutex<Part>; PARTS]);

/// Connections by their own addresses, by the address of the server's live state. Both live for as long as they stand here.
type Part = FxHashMap<usize, FxHashMap<usize, Arc<Cut>>>;

/// Whether a connection has been cut, and whom to wake when it is.
#[derive(Debug, Default)]
pub struct Cut {
    is_cut: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A connection's request at a server, until dropped.
#[derive(Debug)]
pub struct Registered {
    cuts: Arc<Cuts>,
    live: Arc<Live>,
    cut: Arc<Cut>,
}

impl Cuts {
    /// From now on this connection ends when the server goes down.
    pub fn register(self: &Arc<Self>, server: &Server, cut: &Arc<Cut>) -> Registered {
        let (live, cut) = (Arc::clone(server.live()), Arc::clone(cut));
        self.part(&live).lock().entry(address(&live)).or_default().insert(address(&cut), Arc::clone(&cut));
        Registered { cuts: Arc::clone(self), live, cut }
    }

    /// Ends all connections that are at this server, and tells how many there were.
    pub fn cut(&self, server: &Server) -> usize {
        let here = self.part(server.live()).lock().remove(&address(server.live())).unwrap_or_default();
        here.values().for_each(|cut| cut.cut());
        here.len()
    }

    fn part(&self, live: &Arc<Live>) -> &Mutex<Part> {
        // Allocations are aligned; the low bits of their addresses tell nothing.
        &self.0[(address(live) >> 6) % PARTS]
    }
}

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared) as usize
}

impl Cut {
    pub fn cut(&self) {
        self.is_cut.store(true, Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Acquire)
    }

    /// Whether it has been cut; if not, the task is woken when it is.
    pub fn watch(&self, context: &Context<'_>) -> bool {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        self.is_cut()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut part = self.cuts.part(&self.live).lock();
        let Some(here) = part.get_mut(&address(&self.live)) else { return };
        here.remove(&address(&self.cut));
        if here.is_empty() {
            part.remove(&address(&self.live));
        }
    }
}

impl Default for Cuts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::serve::state::fixture;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Release);
        }
    }

    #[test]
    fn a_server_that_goes_down_cuts_those_who_are_there_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let text = "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2', '127.0.0.1:3']}}";
        let state = fixture::state(folder.path(), text);
        let snapshot = state.snapshot.load();
        let [one, other] = snapshot.lanes()[0].pool.upstream().servers() else { panic!("two servers") };
        let (here, there, gone) = (Arc::new(Cut::default()), Arc::new(Cut::default()), Arc::new(Cut::default()));
        let cuts = Arc::new(Cuts::default());
        let _held = [cuts.register(one, &here), cuts.register(other, &there)];
        drop(cuts.register(one, &gone));
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(!here.watch(&Context::from_waker(&waker)));
        assert_eq!(cuts.cut(one), 1);
        assert_eq!([here.is_cut(), there.is_cut(), gone.is_cut()], [true, false, false]);
        assert!(woken.0.load(Acquire));
        assert_eq!(cuts.cut(one), 0, "each is told once");
    }

    #[test]
    fn nothing_is_left_of_requests_that_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let state =
            fixture::state(folder.path(), "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2']}}");
        let snapshot = state.snapshot.load();
        let server = &snapshot.lanes()[0].pool.upstream().servers()[0];
        let cuts = Arc::new(Cuts::default());
        let held: Vec<_> = (0..10).map(|_| cuts.register(server, &Arc::default())).collect();
        assert_eq!(cuts.0.iter().map(|part| part.lock().len()).sum::<usize>(), 1);
        drop(held);
        assert_eq!(cuts.0.iter().map(|part| part.lock().len()).sum::<usize>(), 0);
    }
}
