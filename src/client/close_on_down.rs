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
pub struct CloseOnDown([Mutex<Part>; PARTS]);

/// Connections by their own addresses, by the address of the server's live state. Both live for as long as they stand here.
type Part = FxHashMap<usize, FxHashMap<usize, Arc<CloseHandle>>>;

/// Whether a connection has been closed, and whom to wake when it is.
#[derive(Debug, Default)]
pub struct CloseHandle {
    is_closed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A connection's request at a server, until dropped.
#[derive(Debug)]
pub struct Registration {
    close_on_down: Arc<CloseOnDown>,
    live: Arc<Live>,
    handle: Arc<CloseHandle>,
}

impl CloseOnDown {
    /// From now on this connection ends when the server goes down.
    pub fn register(self: &Arc<Self>, server: &Server, handle: &Arc<CloseHandle>) -> Registration {
        let (live, handle) = (Arc::clone(server.live()), Arc::clone(handle));
        self.part(&live).lock().entry(address(&live)).or_default().insert(address(&handle), Arc::clone(&handle));
        Registration { close_on_down: Arc::clone(self), live, handle }
    }

    /// Ends all connections that are at this server, and tells how many there were.
    pub fn close_all_at(&self, server: &Server) -> usize {
        let here = self.part(server.live()).lock().remove(&address(server.live())).unwrap_or_default();
        here.values().for_each(|handle| handle.close());
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

impl CloseHandle {
    pub fn close(&self) {
        self.is_closed.store(true, Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Acquire)
    }

    /// Whether it has been closed; if not, the task is woken when it is.
    pub fn watch(&self, context: &Context<'_>) -> bool {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        self.is_closed()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut part = self.close_on_down.part(&self.live).lock();
        let Some(here) = part.get_mut(&address(&self.live)) else { return };
        here.remove(&address(&self.handle));
        if here.is_empty() {
            part.remove(&address(&self.live));
        }
    }
}

impl Default for CloseOnDown {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::control::state::fixture;

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
        let generation = state.serving.generation.load();
        let [one, other] = generation.upstreams()[0].pool.upstream().servers() else { panic!("two servers") };
        let [here, there, gone] = [(); 3].map(|()| Arc::new(CloseHandle::default()));
        let close_on_down = Arc::new(CloseOnDown::default());
        let _held = [close_on_down.register(one, &here), close_on_down.register(other, &there)];
        drop(close_on_down.register(one, &gone));
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(!here.watch(&Context::from_waker(&waker)));
        assert_eq!(close_on_down.close_all_at(one), 1);
        assert_eq!([here.is_closed(), there.is_closed(), gone.is_closed()], [true, false, false]);
        assert!(woken.0.load(Acquire));
        assert_eq!(close_on_down.close_all_at(one), 0, "each is told once");
    }

    #[test]
    fn nothing_is_left_of_requests_that_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let state =
            fixture::state(folder.path(), "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2']}}");
        let generation = state.serving.generation.load();
        let server = &generation.upstreams()[0].pool.upstream().servers()[0];
        let close_on_down = Arc::new(CloseOnDown::default());
        let held: Vec<_> = (0..10).map(|_| close_on_down.register(server, &Arc::default())).collect();
        assert_eq!(close_on_down.0.iter().map(|part| part.lock().len()).sum::<usize>(), 1);
        drop(held);
        assert_eq!(close_on_down.0.iter().map(|part| part.lock().len()).sum::<usize>(), 0);
    }
}
