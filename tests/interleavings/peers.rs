//! Two processes that decide about one session and tell each other, while requests continue.

use std::sync::Arc;

use burdock::session::fingerprint::Fingerprint;
use burdock::table::{Budget, Change, Confirmation, Delivery, Known, Role, ServerHandle, Subscription, Table};
use burdock::time::UnixMillis;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::{NOW, drain, explore_some, name, register, table};

/// A process: both register the servers in the same order, so their numbers are alike.
struct Process {
    table: Arc<Table>,
    servers: [ServerHandle; 2],
    peer: Subscription,
    /// Held from draining until the changes are applied, as the one connection between both keeps them in order.
    sending: Mutex<()>,
}

impl Process {
    fn new() -> Self {
        let table = Arc::new(table());
        let servers = ["a", "b"].map(|id| register(&table, id));
        let peer = Subscription::with_role(&table, Role::Peer, Delivery::Afterwards);
        Self { table, servers, peer, sending: Mutex::new(()) }
    }

    fn send_to(&self, other: &Self) -> Vec<Change> {
        let _in_order = self.sending.lock().unwrap();
        let changes = drain(&self.peer);
        changes.iter().for_each(|change| other.peer.apply(change, NOW));
        changes
    }

    fn server(&self, name: Fingerprint) -> Option<usize> {
        match self.table.find(name, NOW) {
            Known::Session(session) => Some(session.server.get()),
            Known::Expired(_) | Known::Unknown => None,
        }
    }
}

#[test]
fn two_processes_agree_whatever_the_order_of_their_threads() {
    explore_some(5_000, || {
        let processes = Arc::new([Process::new(), Process::new()]);
        let requests: Vec<_> = (0..2_usize)
            .flat_map(|at| [(at, 0), (at, 1)])
            .map(|(at, step)| {
                let processes = Arc::clone(&processes);
                thread::spawn(move || {
                    let Process { table, servers, .. } = &processes[at];
                    let now = UnixMillis(UnixMillis::from(NOW).0 + step);
                    match step {
                        0 => _ = table.tie(name(1), &servers[at], Budget::Within, now),
                        _ => _ = (table.look(name(1), NOW), table.forget(name(1), now)),
                    }
                })
            })
            .collect();
        let senders: Vec<_> = [(0, 1), (1, 0)]
            .into_iter()
            .map(|(from, to): (usize, usize)| {
                let processes = Arc::clone(&processes);
                thread::spawn(move || (0..2).for_each(|_| _ = processes[from].send_to(&processes[to])))
            })
            .collect();
        requests.into_iter().chain(senders).for_each(|thread| thread.join().unwrap());
        while [(0, 1), (1, 0)].into_iter().any(|(from, to)| !processes[from].send_to(&processes[to]).is_empty()) {}
        assert_eq!(processes[0].server(name(1)), processes[1].server(name(1)));
    });
}

#[test]
fn a_muted_peer_holds_up_no_response() {
    explore_some(5_000, || {
        let process = Arc::new(Process::new());
        let at_most = std::time::Duration::from_millis(20);
        process.peer.set_delivery(Delivery::Awaited { at_most });
        let muting = Arc::clone(&process);
        let muter = thread::spawn(move || muting.peer.mute());
        process.table.tie(name(1), &process.servers[0], Budget::Within, NOW);
        if let Some(confirmation) = Confirmation::of(&process.table) {
            shuttle::future::block_on(confirmation);
        }
        muter.join().unwrap();
        assert!(Confirmation::of(&process.table).is_none());
        process.table.forget(name(1), NOW);
        assert_eq!(drain(&process.peer), []);
    });
}
