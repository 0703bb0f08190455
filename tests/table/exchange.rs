//! Processes that decide about the same sessions and tell each other: two, or three in a chain, with random orders, delays, clocks
//! and lost messages. When all is told, all agree on the latest decision.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use burdock::ids::ServerId;
use burdock::session::fingerprint::Fingerprint;
use burdock::table::{
    Budget, Change, ChangeKind, Cursor, Delivery, Entry, EvictionClass, Known, Role, ServerHandle, Session, Subscription,
    Table,
};
use burdock::time::{UnixMillis, UnixSeconds};
use proptest::prelude::*;

use super::{START, fingerprint, register, spec};

const SERVERS: [&str; 4] = ["web-1", "web-2", "web-3", "web-4"];
const NAMES: u64 = 5;

#[derive(Clone, Debug)]
enum Op {
    Tie {
        process: usize,
        name: u64,
        server: usize,
    },
    Forget {
        process: usize,
        name: u64,
    },
    /// A sign of life.
    Look {
        process: usize,
        name: u64,
    },
    /// One message of this link arrives.
    Deliver {
        link: usize,
    },
    /// The messages of this link are lost, and the whole table is sent again.
    Resend {
        link: usize,
    },
    Wait {
        millis: u64,
    },
}

/// A change as it travels: its server by id, as numbers mean nothing elsewhere.
struct Message {
    change: Change,
    server: Option<ServerId>,
}

struct Process {
    table: Arc<Table>,
    servers: Vec<ServerHandle>,
    /// How far its clock is off.
    skew: u64,
    /// The date of the latest decision that it knows, for each session.
    known: BTreeMap<Fingerprint, UnixMillis>,
}

/// One direction between two processes.
struct Link {
    from: usize,
    to: usize,
    under_way: VecDeque<Message>,
}

struct Chain {
    processes: Vec<Process>,
    links: Vec<Link>,
    /// The subscription of each process for each of its neighbors.
    peers: BTreeMap<(usize, usize), Subscription>,
    /// All decisions, by session: when, and for which server. None: deleted.
    decisions: BTreeMap<Fingerprint, BTreeSet<(UnixMillis, Option<ServerId>)>>,
    now: u64,
}

impl Process {
    fn new(number: usize, skew: u64) -> Self {
        let table = Arc::new(Table::new(spec(25_600, Some(3_600), None)));
        // Each process numbers the servers in its own way.
        let mut servers: Vec<_> =
            (0..SERVERS.len()).map(|n| (n + number) % SERVERS.len()).map(|n| (n, register(&table, SERVERS[n]))).collect();
        servers.sort_by_key(|(n, _)| *n);
        Self { table, servers: servers.into_iter().map(|(_, server)| server).collect(), skew, known: BTreeMap::new() }
    }

    /// What all must agree on in the end.
    fn sessions(&self, now: UnixSeconds) -> BTreeMap<Fingerprint, (ServerId, u32, EvictionClass)> {
        let names = (0..NAMES).map(fingerprint);
        names
            .filter_map(|name| match self.table.find(name, now) {
                Known::Session(Session { server, stamps, class }) => {
                    Some((name, (self.table.server(server)?, stamps.seen.0, class)))
                }
                Known::Expired(_) | Known::Unknown => None,
            })
            .collect()
    }
}

impl Chain {
    fn new(skews: &[u64]) -> Self {
        let processes: Vec<_> = skews.iter().enumerate().map(|(n, skew)| Process::new(n, *skew)).collect();
        let pairs = (1..processes.len()).flat_map(|n| [(n - 1, n), (n, n - 1)]);
        let links: Vec<_> = pairs.map(|(from, to)| Link { from, to, under_way: VecDeque::new() }).collect();
        let peer = |link: &Link| {
            ((link.from, link.to), Subscription::with_role(&processes[link.from].table, Role::Peer, Delivery::Afterwards))
        };
        let peers = links.iter().map(peer).collect();
        Self { processes, links, peers, decisions: BTreeMap::new(), now: u64::from(START) * 1_000 }
    }

    fn wall(&self) -> UnixSeconds {
        UnixMillis(self.now).seconds()
    }

    fn date(&self, process: usize) -> UnixMillis {
        UnixMillis(self.now + self.processes[process].skew)
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Tie { process, name, server } => {
                let Process { table, servers, .. } = &self.processes[process];
                table.tie(fingerprint(name), &servers[server], Budget::Within, self.date(process));
                self.decided(process, fingerprint(name));
            }
            Op::Forget { process, name } => {
                self.processes[process].table.forget(fingerprint(name), self.date(process));
                self.decided(process, fingerprint(name));
            }
            Op::Look { process, name } => {
                self.processes[process].table.look(fingerprint(name), self.date(process).seconds());
                self.send_changes(process);
            }
            Op::Deliver { link } => self.deliver(link % self.links.len()),
            Op::Resend { link } => self.resend(link % self.links.len()),
            Op::Wait { millis } => self.now += millis,
        }
    }

    /// A process may have decided: if so, later than all that it knew.
    fn decided(&mut self, process: usize, name: Fingerprint) {
        let before = self.processes[process].known.get(&name).copied();
        for (change, server) in self.send_changes(process) {
            if matches!(change.kind, ChangeKind::Created | ChangeKind::Moved | ChangeKind::Forgotten) {
                assert!(before.is_none_or(|before| before < change.at), "{change:?} after {before:?}");
                self.decisions.entry(name).or_default().insert((change.at, server));
                self.processes[process].known.insert(name, change.at);
            }
        }
    }

    /// Puts new changes of a process on their way, and returns those for one neighbor.
    fn send_changes(&mut self, process: usize) -> Vec<(Change, Option<ServerId>)> {
        let mut sent = Vec::new();
        for link in self.links.iter_mut().filter(|link| link.from == process) {
            let (peer, mut changes) = (&self.peers[&(link.from, link.to)], Vec::new());
            (0..peer.table().shards()).for_each(|shard| assert_eq!(peer.drain(shard, &mut changes), Default::default()));
            let message = |change: Change| Message { server: server_of(peer.table(), &change), change };
            sent = changes.iter().map(|change| (*change, server_of(peer.table(), change))).collect();
            link.under_way.extend(changes.into_iter().map(message));
        }
        sent
    }

    fn deliver(&mut self, link: usize) {
        let Link { from, to, under_way } = &mut self.links[link];
        let (from, to) = (*from, *to);
        let Some(Message { mut change, server }) = under_way.pop_front() else { return };
        let receiver = &mut self.processes[to];
        if let Some(server) = server {
            change.entry.session.server = receiver.table.index_of(&server).unwrap();
        }
        if change.kind != ChangeKind::Refreshed {
            let known = receiver.known.entry(change.entry.fingerprint).or_default();
            *known = change.at.max(*known);
        }
        self.peers[&(to, from)].apply(&change, self.wall());
        self.send_changes(to);
    }

    fn resend(&mut self, link: usize) {
        let Link { from, to, under_way } = &mut self.links[link];
        let peer = &self.peers[&(*from, *to)];
        let (mut changes, mut cursor) = (Vec::new(), Some(Cursor::default()));
        let now = UnixMillis(self.now).seconds();
        while let Some(at) = cursor {
            cursor = peer.export(at, now, &mut changes);
        }
        under_way.clear();
        under_way.extend(changes.into_iter().map(|change| Message { server: server_of(peer.table(), &change), change }));
    }

    /// Delivers all that is under way, and checks that all agree.
    fn settle(&mut self) {
        while self.links.iter().any(|link| !link.under_way.is_empty()) {
            (0..self.links.len()).for_each(|link| self.deliver(link));
        }
        let all: Vec<_> = self.processes.iter().map(|process| process.sessions(self.wall())).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:#?}\n{:#?}", self.decisions);
        for (name, decisions) in &self.decisions {
            let last = decisions.last().unwrap().0;
            let mut latest = decisions.iter().filter(|(at, _)| *at == last).map(|(_, server)| server.as_ref());
            let server = all[0].get(name).map(|(server, ..)| server);
            assert!(latest.any(|latest| latest == server), "{name:?} is on {server:?}: {decisions:?}");
        }
    }
}

fn server_of(table: &Table, change: &Change) -> Option<ServerId> {
    let Entry { session, .. } = change.entry;
    if change.kind == ChangeKind::Forgotten { None } else { table.server(session.server) }
}

fn any_op(processes: usize) -> impl Strategy<Value = Op> {
    let (process, name) = (0..processes, 0..NAMES);
    prop_oneof![
        4 => (process.clone(), name.clone(), 0..SERVERS.len()).prop_map(|(process, name, server)| Op::Tie { process, name, server }),
        1 => (process.clone(), name.clone()).prop_map(|(process, name)| Op::Forget { process, name }),
        2 => (process, name).prop_map(|(process, name)| Op::Look { process, name }),
        6 => (0..4_usize).prop_map(|link| Op::Deliver { link }),
        1 => (0..4_usize).prop_map(|link| Op::Resend { link }),
        1 => prop_oneof![0..3_u64, 0..1_000_u64, 300_000..600_000_u64].prop_map(|millis| Op::Wait { millis }),
    ]
}

fn any_run(processes: usize) -> impl Strategy<Value = (Vec<u64>, Vec<Op>)> {
    let skews = proptest::collection::vec(prop_oneof![Just(0), 0..40_u64, 0..900_u64], processes);
    (skews, proptest::collection::vec(any_op(processes), 0..60))
}

fn agree((skews, ops): &(Vec<u64>, Vec<Op>)) {
    let mut chain = Chain::new(skews);
    ops.iter().for_each(|op| chain.run(op));
    chain.settle();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::steps(2_000) as u32))]

    #[test]
    fn two_processes_agree_on_the_latest_decisions(run in any_run(2)) {
        agree(&run);
    }

    #[test]
    fn three_processes_in_a_chain_agree_on_the_latest_decisions(run in any_run(3)) {
        agree(&run);
    }
}

#[test]
fn a_late_sign_of_life_does_not_bring_a_deleted_session_back() {
    let mut chain = Chain::new(&[0, 0]);
    let [tie, forget, look] =
        [Op::Tie { process: 0, name: 1, server: 0 }, Op::Forget { process: 1, name: 1 }, Op::Look { process: 0, name: 1 }];
    chain.run(&tie);
    chain.run(&Op::Deliver { link: 0 });
    chain.run(&Op::Wait { millis: 600_000 });
    chain.run(&look);
    chain.run(&forget);
    chain.settle();
    assert_eq!(chain.processes[0].sessions(chain.wall()), BTreeMap::new());
}

#[test]
fn a_session_deleted_before_its_creation_is_known_stays_deleted() {
    let mut chain = Chain::new(&[0, 0]);
    chain.run(&Op::Tie { process: 0, name: 1, server: 0 });
    chain.run(&Op::Wait { millis: 5 });
    chain.run(&Op::Forget { process: 1, name: 1 });
    chain.settle();
    assert_eq!(chain.processes[1].sessions(chain.wall()), BTreeMap::new());
}

#[test]
fn an_offer_counts_only_where_nothing_is_known() {
    let mut chain = Chain::new(&[0, 0]);
    let Process { table, servers, .. } = &chain.processes[0];
    let offered = |name: u64, server: usize| {
        let stamps = burdock::session::stamps::Stamps { issued: UnixSeconds(START), seen: UnixSeconds(START) };
        let session = Session { server: servers[server].index(), stamps, class: EvictionClass::New };
        let entry = Entry { fingerprint: fingerprint(name), session };
        Change { kind: ChangeKind::Offered, entry, at: UnixMillis::default() }
    };
    table.tie(fingerprint(1), &servers[0], Budget::Within, UnixSeconds(START));
    table.forget(fingerprint(2), UnixSeconds(START));
    for name in 1..=3 {
        chain.peers[&(0, 1)].apply(&offered(name, 1), UnixSeconds(START));
    }
    let sessions = chain.processes[0].sessions(chain.wall());
    let servers: Vec<_> = (1..=3).map(|name| sessions.get(&fingerprint(name)).map(|(server, ..)| server.as_str())).collect();
    assert_eq!(servers, [Some("web-1"), None, Some("web-2")]);
    chain.now += 1;
}
