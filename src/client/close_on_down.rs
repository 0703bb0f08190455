//! Closes client connections when their server goes down, for upstreams that configure it: which requests are at which server,
//! and the handles to close their connections.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Waker};

use burdock::upstream::server::{Live, Server};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Requests register in a shard by their server, so that few contend for a lock.
const SHARDS: usize = 64;

/// The connections with a request at each server.
#[derive(Debug)]
pub struct CloseOnDown([Mutex<Shard>; SHARDS]);

/// By the address of the server's live state, then by the address of the connection's handle. Both live as long as the entry.
type Shard = FxHashMap<usize, FxHashMap<usize, Arc<CloseHandle>>>;

/// Whether a connection was closed from elsewhere, and the task to wake.
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
    /// Closes this connection if the server goes down, until the registration is dropped.
    pub fn register(self: &Arc<Self>, server: &Server, handle: &Arc<CloseHandle>) -> Registration {
        let (live, handle) = (Arc::clone(server.live()), Arc::clone(handle));
        self.shard(&live).lock().entry(address(&live)).or_default().insert(address(&handle), Arc::clone(&handle));
        Registration { close_on_down: Arc::clone(self), live, handle }
    }

    /// Closes all connections registered at this server, and returns their number.
    pub fn close_all_at(&self, server: &Server) -> usize {
        let here = self.shard(server.live()).lock().remove(&address(server.live())).unwrap_or_default();
        here.values().for_each(|handle| handle.close());
        here.len()
    }

    fn shard(&self, live: &Arc<Live>) -> &Mutex<Shard> {
        // Allocations are aligned: the low bits of their addresses carry no information.
        &self.0[(address(live) >> 6) % SHARDS]
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

    /// Whether it is closed; if not, the task is woken when it is.
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
        let mut shard = self.close_on_down.shard(&self.live).lock();
        let Some(here) = shard.get_mut(&address(&self.live)) else { return };
        here.remove(&address(&self.handle));
        if here.is_empty() {
            shard.remove(&address(&self.live));
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
    fn server_down_closes_only_its_own_connections() {
        let directory = tempfile::tempdir().unwrap();
        let text = "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2', '127.0.0.1:3']}}";
        let state = fixture::state(directory.path(), text);
        let generation = state.serving.generation.load();
        let [one, other] = generation.upstreams()[0].sticky.upstream().servers() else { panic!("two servers") };
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
        assert_eq!(close_on_down.close_all_at(one), 0, "each connection is closed once");
    }

    #[test]
    fn dropped_registrations_leave_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state =
            fixture::state(directory.path(), "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2']}}");
        let generation = state.serving.generation.load();
        let server = &generation.upstreams()[0].sticky.upstream().servers()[0];
        let close_on_down = Arc::new(CloseOnDown::default());
        let held: Vec<_> = (0..10).map(|_| close_on_down.register(server, &Arc::default())).collect();
        assert_eq!(close_on_down.0.iter().map(|shard| shard.lock().len()).sum::<usize>(), 1);
        drop(held);
        assert_eq!(close_on_down.0.iter().map(|shard| shard.lock().len()).sum::<usize>(), 0);
    }
}
