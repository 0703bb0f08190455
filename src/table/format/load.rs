//! Loads blocks into a table.

use std::collections::HashMap;

use super::record::{Record, records};
use crate::ids::ServerId;
use crate::session::fingerprint::Fingerprint;
use crate::table::{Change, ChangeKind, Entry, Known, ServerHandle, ServerIndex, Session, Subscription, Table};
use crate::time::{UnixMillis, UnixSeconds};

/// Which state wins if the table already has a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Precedence {
    /// The stored state: the table is not in use yet.
    Stored,
    /// The state seen later: the table was in use while another process wrote. This is not exact to the second, nor for a session
    /// that is used at this moment.
    Later,
    /// The later decision: the process that sent the records decides about the same sessions. Records of an older version do not say
    /// when they were decided; they are loaded as with [`Self::Later`].
    Decided,
}

/// What a loader has loaded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// Records of sessions, including expired ones.
    pub tied: u64,
    pub forgotten: u64,
    /// Sessions whose server is unknown, or that would exceed the servers that a table can name.
    pub skipped: u64,
}

/// Loads stored blocks into a table, in the order in which they were written.
pub struct Loader<'t> {
    table: &'t Table,
    precedence: Precedence,
    /// The peer that sends, for [`Precedence::Decided`].
    peer: Option<&'t Subscription>,
    /// Keeps the servers' numbers reserved until loading ends.
    held: HashMap<ServerId, ServerHandle, rustc_hash::FxBuildHasher>,
    /// The servers of the current block.
    servers: Vec<Option<ServerIndex>>,
    loaded: Loaded,
}

impl<'t> Loader<'t> {
    pub fn new(table: &'t Table, precedence: Precedence) -> Self {
        Self { table, precedence, peer: None, held: HashMap::default(), servers: Vec::new(), loaded: Loaded::default() }
    }

    /// Applies the changes of a peer.
    pub fn of_peer(peer: &'t Subscription) -> Self {
        Self { peer: Some(peer), ..Self::new(peer.table(), Precedence::Decided) }
    }

    /// Applies the payload of a block.
    pub fn apply(&mut self, payload: &[u8], now: UnixSeconds) {
        self.servers.clear();
        for record in records(payload) {
            match record {
                Record::Server(id) => {
                    let index = self.register(id);
                    self.servers.push(index);
                }
                Record::Tied { fingerprint, server, stamps, class, change } => match self.servers.get(usize::from(server)) {
                    Some(&Some(server)) => {
                        self.tie(Entry { fingerprint, session: Session { server, stamps, class } }, change, now);
                    }
                    Some(None) | None => self.loaded.skipped += 1,
                },
                Record::Forgotten { fingerprint, at, decided } => self.forget(fingerprint, at, decided, now),
            }
        }
    }

    /// Ends loading.
    pub fn finish(self) -> Loaded {
        self.loaded
    }

    fn tie(&mut self, entry: Entry, change: Option<(ChangeKind, UnixMillis)>, now: UnixSeconds) {
        self.loaded.tied += 1;
        if let (Some(peer), Some((kind, at))) = (self.peer, change) {
            return peer.apply(&Change { kind, entry, at }, now);
        }
        if self.precedence != Precedence::Stored
            && let Known::Session(session) = self.table.find(entry.fingerprint, now)
            && session.stamps.seen > entry.session.stamps.seen
        {
            return;
        }
        self.table.import(&entry, now);
    }

    fn forget(&mut self, fingerprint: Fingerprint, at: UnixSeconds, decided: Option<UnixMillis>, now: UnixSeconds) {
        self.loaded.forgotten += 1;
        if let (Some(peer), Some(decided)) = (self.peer, decided) {
            return peer.apply(&Change::deletion(fingerprint, decided), now);
        }
        let later = matches!(self.table.find(fingerprint, now), Known::Session(session) if session.stamps.seen > at);
        if self.precedence == Precedence::Stored || !later {
            self.table.forget(fingerprint, now);
        }
    }

    fn register(&mut self, id: &[u8]) -> Option<ServerIndex> {
        let id = ServerId::parse(str::from_utf8(id).ok()?).ok()?;
        if let Some(handle) = self.held.get(&id) {
            return Some(handle.index());
        }
        let handle = self.table.register(&id).ok()?;
        let index = handle.index();
        self.held.insert(id, handle);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::block::{FRAME, Next, next};
    use super::super::{Batch, record};
    use super::*;
    use crate::session::lifetime::Lifetime;
    use crate::session::stamps::Stamps;
    use crate::table::{Budget, Cursor, Delivery, EvictionClass, Persist, Role, TableName, TableSpec};

    const NOW: UnixSeconds = UnixSeconds(10_000);
    const IDLE: u32 = 1_000;

    type Shown = (u128, String, u32, u32, EvictionClass);

    fn table() -> Table {
        let capacity = NonZeroU32::new(1_000).unwrap();
        let lifetime = Lifetime { idle: Some(IDLE), life: None };
        Table::new(TableSpec { name: TableName::parse("t").unwrap(), capacity, lifetime, persist: Persist::On })
    }

    fn session(n: u128) -> Fingerprint {
        Fingerprint::from_bytes((n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
    }

    fn server(table: &Table, n: u8) -> ServerHandle {
        table.register(&ServerId::parse(&format!("server-{n}")).unwrap()).unwrap()
    }

    /// A table with these sessions, each given as number, server, time last seen and class.
    fn filled(sessions: &[(u8, u8, u16, u8)]) -> Table {
        let table = table();
        for &(n, at, seen, class) in sessions {
            let seen = UnixSeconds(9_500 + u32::from(seen) % 500);
            let stamps = Stamps { issued: UnixSeconds(seen.0 - 7), seen };
            let class = EvictionClass::ALL[usize::from(class) % 3];
            let session_ = Session { server: server(&table, at % 5).index(), stamps, class };
            table.import(&Entry { fingerprint: session(n.into()), session: session_ }, NOW);
        }
        table
    }

    fn entries(table: &Table) -> Vec<Entry> {
        let (mut entries, mut cursor) = (Vec::new(), Some(Cursor::default()));
        while let Some(at) = cursor {
            cursor = table.export(at, NOW, &mut entries);
        }
        entries
    }

    fn shown(table: &Table) -> Vec<Shown> {
        let show = |Entry { fingerprint, session }: Entry| {
            let server = table.server(session.server).unwrap().as_str().to_owned();
            let number = u128::from_be_bytes(fingerprint.bytes());
            (number, server, session.stamps.issued.0, session.stamps.seen.0, session.class)
        };
        let mut shown: Vec<_> = entries(table).into_iter().map(show).collect();
        shown.sort_unstable();
        shown
    }

    /// Each session in a block of its own.
    fn written(table: &Table) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries(table) {
            let mut batch = Batch::default();
            batch.tie(&entry, table);
            bytes.extend(batch.finish());
        }
        bytes
    }

    fn load(mut bytes: &[u8], into: &Table, precedence: Precedence) -> Loaded {
        let mut loader = Loader::new(into, precedence);
        loop {
            let passed = match next(bytes) {
                Next::Block { payload, bytes } => {
                    loader.apply(payload, NOW);
                    bytes
                }
                Next::Damaged { bytes } => bytes,
                Next::Needs(_) | Next::Nothing => return loader.finish(),
            };
            bytes = &bytes[passed..];
        }
    }

    fn any_sessions() -> impl Strategy<Value = Vec<(u8, u8, u16, u8)>> {
        proptest::collection::vec(any::<(u8, u8, u16, u8)>(), 0..60)
    }

    proptest! {
        #[test]
        fn sessions_are_loaded_under_different_server_numbers(sessions in any_sessions()) {
            let first = filled(&sessions);
            let mut batch = Batch::default();
            entries(&first).iter().for_each(|entry| batch.tie(entry, &first));
            let second = table();
            let _others = [server(&second, 77), server(&second, 4)];
            let loaded = load(batch.finish(), &second, Precedence::Stored);
            prop_assert_eq!(loaded.skipped, 0);
            prop_assert_eq!(shown(&second), shown(&first));
        }

        #[test]
        fn a_truncated_file_keeps_all_blocks_before_the_cut(sessions in any_sessions(), cut: usize) {
            let first = filled(&sessions);
            let bytes = written(&first);
            let cut = cut % (bytes.len() + 1);
            let second = table();
            let loaded = load(&bytes[..cut], &second, Precedence::Stored);
            let block = FRAME + 2 + 8 + 2 + record::TIED_BODY;
            prop_assert_eq!(loaded.tied as usize, cut / block);
            let all = shown(&first);
            prop_assert!(shown(&second).iter().all(|session| all.contains(session)));
        }

        #[test]
        fn a_flipped_bit_loses_sessions_but_changes_none(sessions in any_sessions(), bit: usize) {
            let first = filled(&sessions);
            let mut bytes = written(&first);
            prop_assume!(!bytes.is_empty());
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let second = table();
            load(&bytes, &second, Precedence::Stored);
            let (before, after) = (shown(&first), shown(&second));
            prop_assert!(after.iter().all(|session| before.contains(session)));
            let block = FRAME + 2 + 8 + 2 + record::TIED_BODY;
            let in_frame = bit / 8 % block < FRAME;
            prop_assert_eq!(before.len() - after.len(), if in_frame { before.len() - bit / 8 / block } else { 1 });
        }

        #[test]
        fn any_payload_can_be_applied(payload: Vec<u8>) {
            let table = table();
            let mut loader = Loader::new(&table, Precedence::Stored);
            loader.apply(&payload, NOW);
            loader.finish();
        }
    }

    #[test]
    fn each_block_can_be_loaded_by_itself() {
        let table = table();
        let mut batch = Batch::default();
        for n in 0..10_000 {
            let stamps = Stamps { issued: NOW, seen: NOW };
            let session_ = Session { server: server(&table, (n % 250) as u8).index(), stamps, class: EvictionClass::New };
            batch.tie(&Entry { fingerprint: session(n), session: session_ }, &table);
        }
        let mut rest = batch.finish();
        let (mut blocks, mut sessions) = (0, 0);
        while let Next::Block { payload, bytes } = next(rest) {
            let other = self::table();
            let mut loader = Loader::new(&other, Precedence::Stored);
            loader.apply(payload, NOW);
            let loaded = loader.finish();
            assert_eq!(loaded.skipped, 0);
            assert!(payload.len() < 66_000, "{}", payload.len());
            (blocks, sessions) = (blocks + 1, sessions + loaded.tied);
            rest = &rest[bytes..];
        }
        assert!(rest.is_empty());
        assert_eq!((blocks, sessions), (5, 10_000));
    }

    #[test]
    fn records_may_grow_and_unknown_ones_are_skipped() {
        let first = filled(&[(1, 1, 1, 1)]);
        let bytes = written(&first);
        let Next::Block { payload, .. } = next(&bytes) else { panic!() };
        let (server, tied) = payload.split_at(2 + 8);
        let grown =
            [server, &[200, 3, 1, 2, 3], &[tied[0], tied[1] + 2], &tied[2..], &[9, 9], &[3, 1, 0], &[2, 40, 0]].concat();
        let second = table();
        let mut loader = Loader::new(&second, Precedence::Stored);
        loader.apply(&grown, NOW);
        assert_eq!(loader.finish(), Loaded { tied: 1, forgotten: 0, skipped: 0 });
        assert_eq!(shown(&second), shown(&first));
    }

    #[test]
    fn changes_of_a_peer_keep_their_kind_and_decision() {
        let (first, second) = (Arc::new(table()), Arc::new(table()));
        let feed = Subscription::with_role(&first, Role::Peer, Delivery::Afterwards);
        let peer = Subscription::with_role(&second, Role::Peer, Delivery::Afterwards);
        let [a, b] = [server(&first, 1), server(&first, 2)];
        let _other_numbers = server(&second, 9);
        let date = |n| UnixMillis(UnixMillis::from(NOW).0 + n);
        for n in 1..=3 {
            first.tie(session(n), &a, Budget::Within, date(1));
        }
        first.tie(session(2), &b, Budget::Within, date(2));
        first.forget(session(3), date(2));
        // Only the second is older than what the other process has decided.
        second.tie(session(1), &server(&second, 3), Budget::Within, date(0));
        second.tie(session(2), &server(&second, 3), Budget::Within, date(3));
        let (mut batch, mut changes) = (Batch::default(), Vec::new());
        (0..first.shards()).for_each(|shard| _ = feed.drain(shard, &mut changes));
        changes.iter().for_each(|change| batch.peer_change(change, &first));
        let Next::Block { payload, .. } = next(batch.finish()) else { panic!() };
        Loader::of_peer(&peer).apply(payload, NOW);
        let servers: Vec<_> = shown(&second).into_iter().map(|(name, server, ..)| (name, server)).collect();
        let named = |n: u128| u128::from_be_bytes(session(n).bytes());
        let mut expected = vec![(named(1), "server-1".to_owned()), (named(2), "server-3".to_owned())];
        expected.sort_unstable();
        assert_eq!(servers, expected);
    }

    #[test]
    fn a_session_without_a_server_is_skipped() {
        let first = filled(&[(1, 1, 1, 1)]);
        let bytes = written(&first);
        let Next::Block { payload, .. } = next(&bytes) else { panic!() };
        let table = table();
        let mut loader = Loader::new(&table, Precedence::Stored);
        loader.apply(&payload[10..], NOW);
        loader.apply(&[&[1, 2, b' ', 0xff], &payload[10..]].concat(), NOW);
        assert_eq!(loader.finish(), Loaded { tied: 0, forgotten: 0, skipped: 2 });
    }

    #[test]
    fn changes_are_replayed_in_order_and_idle_time_goes_on() {
        let first = Arc::new(table());
        let feed = Subscription::new(&first, Delivery::Afterwards);
        let [a, b] = [server(&first, 1), server(&first, 2)];
        let mut batch = Batch::default();
        first.tie(session(1), &a, Budget::Within, NOW);
        first.tie(session(2), &a, Budget::Within, NOW);
        first.tie(session(3), &a, Budget::Within, UnixSeconds(NOW.0 - IDLE * 11 / 10 - 1));
        first.tie(session(1), &b, Budget::Within, NOW);
        first.forget(session(2), NOW);
        let mut changes = Vec::new();
        (0..first.shards()).for_each(|shard| _ = feed.drain(shard, &mut changes));
        changes.iter().for_each(|change| batch.change(change, &first, NOW));
        let second = table();
        let loaded = load(batch.finish(), &second, Precedence::Stored);
        assert_eq!(loaded, Loaded { tied: 4, forgotten: 1, skipped: 0 });
        let shown = shown(&second);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].1, "server-2");
    }

    #[test]
    fn a_predecessors_records_do_not_undo_later_changes() {
        let first = table();
        let old = server(&first, 1);
        let mut batch = Batch::default();
        let earlier = UnixSeconds(NOW.0 - 10);
        for n in 1..=3 {
            first.tie(session(n), &old, Budget::Within, earlier);
        }
        entries(&first).iter().for_each(|entry| batch.tie(entry, &first));
        batch.forget(session(4), earlier);
        batch.forget(session(5), earlier);

        let second = table();
        let [new, before] = [server(&second, 2), server(&second, 3)];
        second.tie(session(1), &new, Budget::Within, NOW);
        second.tie(session(2), &before, Budget::Within, UnixSeconds(NOW.0 - 20));
        second.tie(session(4), &new, Budget::Within, NOW);
        second.tie(session(5), &before, Budget::Within, UnixSeconds(NOW.0 - 20));
        load(batch.finish(), &second, Precedence::Later);
        let server = |n| match second.find(session(n), NOW) {
            Known::Session(session) => second.server(session.server).map(|id| id.as_str().to_owned()),
            Known::Expired(_) | Known::Unknown => None,
        };
        let servers: Vec<_> = (1..=5).map(server).collect();
        let expected = [Some("server-2"), Some("server-1"), Some("server-1"), Some("server-2"), None];
        assert_eq!(servers, expected.map(|id| id.map(str::to_owned)));
    }
}
