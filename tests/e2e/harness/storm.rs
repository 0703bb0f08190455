//! Load: clients with cookie jars, each in its own thread, that send requests until the storm ends and record the results.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{Client, Request, wait_until};

/// The result of one request: the status and the server, or why there was no response.
#[derive(Clone, Debug)]
pub struct Seen {
    pub outcome: Result<u16, String>,
    pub server: Option<String>,
    pub new_cookie: bool,
}

pub struct Storm {
    clients: Vec<JoinHandle<Vec<Seen>>>,
    done: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

/// A tenth of the full length, or all of it with `BURDOCK_FULL=1`.
pub fn rounds(full: usize) -> usize {
    if std::env::var("BURDOCK_FULL").is_ok_and(|set| set == "1") { full } else { full.div_ceil(10) }
}

impl Storm {
    pub fn begin(to: SocketAddr, clients: usize) -> Self {
        let (done, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |_| {
            let (done, over) = (Arc::clone(&done), Arc::clone(&over));
            thread::spawn(move || send_until(to, &done, &over))
        };
        Self { clients: (0..clients).map(client).collect(), done, over }
    }

    /// Waits until this many more requests have ended.
    pub fn pass(&self, requests: usize) {
        let target = self.done.load(Ordering::SeqCst) + requests;
        wait_until("requests of a storm", || self.done.load(Ordering::SeqCst) >= target);
    }

    /// Ends the storm and returns each client's results in order.
    pub fn end(self) -> Vec<Vec<Seen>> {
        self.over.store(true, Ordering::SeqCst);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

fn send_until(to: SocketAddr, done: &AtomicUsize, over: &AtomicBool) -> Vec<Seen> {
    let (mut client, mut seen) = (Client::new(to), Vec::new());
    while !over.load(Ordering::SeqCst) {
        seen.push(match client.try_ask(Request::get("/")) {
            Ok(response) => Seen {
                outcome: Ok(response.status),
                server: response.header("x-served-by").map(str::to_owned),
                new_cookie: response.cookie("BURDOCK_").is_some(),
            },
            Err(error) => Seen { outcome: Err(error.to_string()), server: None, new_cookie: false },
        });
        done.fetch_add(1, Ordering::SeqCst);
    }
    seen
}
