//! Load: clients with cookie jars, each in its own thread, that send requests until the test ends the load, and record the results.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{Client, Request, wait_until};

/// The result of one request: the status and the server, or why there was no response.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub result: Result<u16, String>,
    pub server: Option<String>,
    pub new_cookie: bool,
}

/// Clients that send requests in the background.
pub struct LoadGenerator {
    clients: Vec<JoinHandle<Vec<Outcome>>>,
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// A tenth of the full length, or all of it with `BURDOCK_FULL=1`.
pub fn rounds(full: usize) -> usize {
    if std::env::var("BURDOCK_FULL").is_ok_and(|set| set == "1") { full } else { full.div_ceil(10) }
}

impl LoadGenerator {
    pub fn start(to: SocketAddr, clients: usize) -> Self {
        let (done, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |_| {
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
            thread::spawn(move || send_until(to, &done, &stop))
        };
        Self { clients: (0..clients).map(client).collect(), done, stop }
    }

    /// Waits until this many more requests have ended.
    pub fn wait_for_requests(&self, requests: usize) {
        let target = self.done.load(Ordering::SeqCst) + requests;
        wait_until("requests under load", || self.done.load(Ordering::SeqCst) >= target);
    }

    /// Ends the load and returns each client's results in order.
    pub fn end(self) -> Vec<Vec<Outcome>> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

fn send_until(to: SocketAddr, done: &AtomicUsize, stop: &AtomicBool) -> Vec<Outcome> {
    let (mut client, mut outcomes) = (Client::new(to), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        outcomes.push(match client.try_ask(Request::get("/")) {
            Ok(response) => Outcome {
                result: Ok(response.status),
                server: response.header("x-served-by").map(str::to_owned),
                new_cookie: response.cookie("BURDOCK_").is_some(),
            },
            Err(error) => Outcome { result: Err(error.to_string()), server: None, new_cookie: false },
        });
        done.fetch_add(1, Ordering::SeqCst);
    }
    outcomes
}
