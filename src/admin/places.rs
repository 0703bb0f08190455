//! The places of a listener of the admin service: how many connections it serves at once. If all are taken, the connection that has been
//! silent longest makes room, so that silent connections cannot keep probes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a new connection waits for the place of a silent one.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The places of a listener.
#[derive(Debug)]
pub struct Places {
    permits: Arc<Semaphore>,
    silent: Mutex<Silent>,
}

/// The connections on which no request is in progress, the oldest first.
#[derive(Debug, Default)]
struct Silent {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

/// The place of a connection, until dropped.
pub struct Place {
    places: Arc<Places>,
    /// Its number among the silent connections. None while a request is in progress.
    number: Mutex<Option<u64>>,
    end: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub fn new(count: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(count)), silent: Mutex::default() }
    }

    /// Takes a place, if need be that of the connection that has been silent longest. None if requests are in progress on all of them.
    pub async fn enter(self: &Arc<Self>) -> Option<Place> {
        let free = Arc::clone(&self.permits).try_acquire_owned();
        let permit = match free {
            Ok(permit) => permit,
            Err(_) => {
                self.end_oldest()?;
                tokio::time::timeout(WAIT_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await.ok()?.ok()?
            }
        };
        let place =
            Place { places: Arc::clone(self), number: Mutex::new(None), end: Arc::new(Notify::new()), _permit: permit };
        place.request_over();
        Some(place)
    }

    fn end_oldest(&self) -> Option<()> {
        let (_, oldest) = self.silent.lock().by_age.pop_first()?;
        oldest.notify_one();
        Some(())
    }
}

impl Place {
    /// A request has arrived.
    pub fn request_begun(&self) {
        let number = self.number.lock().take();
        if let Some(number) = number {
            self.places.silent.lock().by_age.remove(&number);
        }
    }

    /// The request is answered.
    pub fn request_over(&self) {
        let mut silent = self.places.silent.lock();
        let number = silent.next;
        silent.next += 1;
        silent.by_age.insert(number, Arc::clone(&self.end));
        *self.number.lock() = Some(number);
    }

    /// Resolves when the connection has to make room.
    pub async fn ended(&self) {
        self.end.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.request_begun();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_silent_connection_makes_room() {
        let places = Arc::new(Places::new(2));
        let (busy, silent) = (places.enter().await.unwrap(), places.enter().await.unwrap());
        busy.request_begun();
        let makes_room = async {
            silent.ended().await;
            drop(silent);
        };
        let (third, ()) = tokio::join!(places.enter(), makes_room);
        let third = third.unwrap();
        third.request_begun();
        assert!(places.enter().await.is_none(), "both have a request in progress");
        drop(busy);
        assert!(places.enter().await.is_some());
    }

    #[tokio::test]
    async fn connections_with_a_request_in_progress_keep_their_places() {
        let places = Arc::new(Places::new(1));
        let busy = places.enter().await.unwrap();
        busy.request_begun();
        assert!(places.enter().await.is_none());
        busy.request_over();
        let (next, ()) = tokio::join!(places.enter(), async {
            busy.ended().await;
            drop(busy);
        });
        assert!(next.is_some());
    }
}
