//! The order in which servers get new sessions: in turn, by load, or as listed. Whose turn it is, is known at once; a pick
//! costs a few steps for each doubling of the servers, and looks at no others.
//!
//! In turn: each server of weight w comes due every 1/w of a round, beginning at an offset of its own, and the one that is
//! due first is next. All points in time of a round are as many as the weights' sum, and each server has w of them, so any
//! so many picks in a row contain each server w times (to rounding, which may swap two neighbours). By load: the least
//! loaded for its weight; of several, the one due first.
//!
//! A key may be out of date in two ways. A server has more in flight than its key says: this shows when it is its turn, and
//! the key is corrected. It has less: the end of the request that makes it so leaves a note on the board, and the next pick
//! corrects the key first. So requests of tied sessions cost nothing here but a comparison when they end. The request that makes
//! a server full leaves a note, too, and so does the one that makes room.
//!
//! Full servers come after all others, those with the least demand first: there, new sessions wait. If they do not wait, a full
//! server has no key.

mod search;

use super::board::{Board, Left};
use super::load::Load;
use super::marks::{Marks, Purpose};
use super::server::Server;
use super::tournament::Tournament;
use super::weight;
pub(super) use search::{Turn, Waiting};

/// What comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    InTurn,
    ByLoad,
    AsListed,
}

/// Whether the board gets notes of these servers: only that of the configuration in use does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Notes {
    Come,
    DoNotCome,
}

/// What the order depends on besides the servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) order: Order,
    pub(super) notes: Notes,
    /// How many requests may wait at a full server. None if new sessions do not wait.
    pub(super) queue: Option<u32>,
}

/// The servers that may get new sessions, in order.
#[derive(Debug)]
pub(super) struct Turns {
    rules: Rules,
    members: Box<[Member]>,
    tournament: Tournament<Key>,
    /// How many members have a key, and how many of them are open.
    keyed: Count,
    /// When the last server that was picked was due.
    time: u64,
}

#[derive(Debug)]
struct Member {
    /// The server's position.
    at: usize,
    /// Its effective weight, in hundredths.
    weight: u64,
    /// The time between two turns.
    step: u64,
    due: u64,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    class: Class,
    load: Load,
    due: u64,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    /// It has room.
    Open,
    /// It is full. Its load includes the requests that wait.
    Full,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    open: usize,
    all: usize,
}

/// Where a server stands now.
enum Standing {
    Ready(Key),
    Full(Option<Key>),
    /// It has room, but requests wait there and go first.
    Awaited(Option<Key>),
}

/// The time in which a server with the effective weight 1 has one turn. All other turns repeat in it too.
const ROUND: u64 = 1 << 40;
/// Time starts over before it overflows.
const LATEST: u64 = 1 << 62;
/// How many keys are corrected at most while other picks wait.
const CORRECTIONS: usize = 256;

impl Turns {
    /// The order of these servers: their positions and effective weights. `time` is that of the order before.
    pub(super) fn new(rules: Rules, members: &[(usize, u64)], time: u64, all: &All<'_>) -> Self {
        let time = time % ROUND;
        let count = members.len() as u64;
        let member = |(nth, &(at, weight)): (usize, &(usize, u64))| {
            let step = ROUND / weight.max(1);
            Member { at, weight, step, due: next_due(offset(nth as u64, count, step), step, time) }
        };
        let members: Box<[Member]> = members.iter().enumerate().map(member).collect();
        let (tournament, keyed) = (Tournament::new(Vec::new()), Count::default());
        let mut turns = Self { rules, tournament, keyed, members, time };
        let keys: Vec<Option<Key>> = (0..turns.members.len()).map(|nth| turns.key(nth, all)).collect();
        keys.iter().flatten().for_each(|key| turns.keyed.add(*key));
        turns.members.iter().zip(&keys).for_each(|(member, key)| all.marks.mark(member.at, key.map(Key::purpose)));
        turns.tournament = Tournament::new(keys);
        turns
    }

    /// When the last server that was picked was due.
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// Leaves the notes to the order that follows this one, which continues from the time returned. It may still be used,
    /// but it no longer says on which numbers notes depend.
    pub(super) fn retire(&mut self) -> u64 {
        self.rules.notes = Notes::DoNotCome;
        self.time
    }

    fn take_notes(&mut self, all: &All<'_>) -> Left {
        match self.rules.notes {
            Notes::DoNotCome => Left::Nothing,
            Notes::Come => all.board.take(CORRECTIONS, |at| {
                if let Ok(nth) = self.members.binary_search_by_key(&at, |member| member.at) {
                    self.rejoin(nth);
                    self.correct(nth, all);
                }
            }),
        }
    }

    /// A server that was full does not make up for the turns that it missed.
    fn rejoin(&mut self, nth: usize) {
        let was_open = self.tournament.key(nth).is_some_and(|key| key.class == Class::Open);
        let member = &mut self.members[nth];
        if !was_open && member.due < self.time {
            member.due = next_due(member.due, member.step, self.time);
        }
    }

    fn correct(&mut self, nth: usize, all: &All<'_>) {
        let key = self.key(nth, all);
        self.set(nth, key, all);
    }

    fn set(&mut self, nth: usize, key: Option<Key>, all: &All<'_>) {
        all.marks.mark(self.members[nth].at, key.map(Key::purpose));
        self.set_unmarked(nth, key);
    }

    fn set_unmarked(&mut self, nth: usize, key: Option<Key>) {
        let before = self.tournament.key(nth);
        if before == key {
            return;
        }
        before.iter().for_each(|key| self.keyed.remove(*key));
        key.iter().for_each(|key| self.keyed.add(*key));
        self.tournament.set(nth, key);
    }

    /// Its turn has come: the next one is at its next point in time.
    fn advance(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if self.rules.order != Order::AsListed {
            let late = member.due < self.time;
            self.time = self.time.max(member.due);
            member.due = if late { next_due(member.due, member.step, self.time) } else { member.due + member.step };
        }
    }

    fn key(&self, nth: usize, all: &All<'_>) -> Option<Key> {
        let member = &self.members[nth];
        match self.standing(nth, &all.servers[member.at]) {
            Standing::Ready(key) => Some(key),
            Standing::Full(key) => key,
            Standing::Awaited(key) => {
                // Nothing notes when they have gone, so the next pick looks again.
                if self.rules.notes == Notes::Come {
                    all.board.note(member.at);
                }
                key
            }
        }
    }

    fn standing(&self, nth: usize, server: &Server) -> Standing {
        loop {
            let (in_flight, waiting) = (server.in_flight(), server.waiting());
            if let Some(limit) = server.limit_for_new().filter(|&limit| in_flight >= limit) {
                let below = if self.rules.queue.is_some() { in_flight + waiting } else { limit };
                if self.is_noted_below(below, server) {
                    return Standing::Full(self.key_of_full(server, in_flight, waiting));
                }
                continue;
            }
            if server.limit_for_new().is_some() && waiting > 0 {
                return Standing::Awaited(self.key_of_full(server, in_flight, waiting));
            }
            if self.rules.order != Order::ByLoad || self.is_noted_below(in_flight, server) {
                return Standing::Ready(self.key_with(nth, in_flight, server));
            }
        }
    }

    /// None if new sessions cannot wait there.
    fn key_of_full(&self, server: &Server, in_flight: u32, waiting: u32) -> Option<Key> {
        let has_place = self.rules.queue.is_some_and(|length| waiting < length) && server.would_accept_new();
        let load = Load { requests: u64::from(in_flight) + u64::from(waiting), weight: u64::from(server.weight()) };
        has_place.then_some(Key { class: Class::Full, load, due: 0 })
    }

    /// From now on, a note comes when fewer requests are in flight or wait there. False if there are fewer already.
    fn is_noted_below(&self, demand: u32, server: &Server) -> bool {
        match self.rules.notes {
            Notes::Come => server.queue().note_below(demand),
            Notes::DoNotCome => true,
        }
    }

    fn key_with(&self, nth: usize, in_flight: u32, server: &Server) -> Key {
        const NONE: Load = Load { requests: 0, weight: 1 };
        let member = &self.members[nth];
        let class = Class::Open;
        match self.rules.order {
            Order::InTurn => Key { class, load: NONE, due: member.due },
            Order::AsListed => Key { class, load: NONE, due: nth as u64 },
            // An idle server counts with its full weight: among idle servers, turns divide the requests.
            Order::ByLoad => {
                let weight = if in_flight == 0 { weight::full(server.weight()) } else { member.weight };
                Key { class, load: Load { requests: u64::from(in_flight), weight }, due: member.due }
            }
        }
    }
}

impl Key {
    fn purpose(self) -> Purpose {
        match self.class {
            Class::Open => Purpose::Serve,
            Class::Full => Purpose::Wait,
        }
    }
}

impl Count {
    fn add(&mut self, key: Key) {
        self.all += 1;
        self.open += usize::from(key.class == Class::Open);
    }

    fn remove(&mut self, key: Key) {
        self.all -= 1;
        self.open -= usize::from(key.class == Class::Open);
    }
}

/// The servers of an upstream, the board of the tier, and where the order says what they are good for.
pub(super) struct All<'u> {
    pub(super) servers: &'u [Server],
    pub(super) board: &'u Board,
    pub(super) marks: &'u Marks,
}

/// When a member is due first. The offsets are spread over one turn, in the order of the members.
fn offset(nth: u64, count: u64, step: u64) -> u64 {
    (2 * nth + 1) * step / (2 * count)
}

/// The first of a member's points in time after `time`; `point` is one of them.
fn next_due(point: u64, step: u64, time: u64) -> u64 {
    if point > time { point } else { point + ((time - point) / step + 1) * step }
}
