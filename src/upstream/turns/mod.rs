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
//! corrects the key first. So requests of tied sessions cost nothing here but a comparison when they end. A full server
//! has no key, until its note that it has room.

use smallvec::SmallVec;

use super::board::{Board, Left};
use super::load::Load;
use super::queue::Slot;
use super::server::Server;
use super::tournament::Tournament;
use super::weight;

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

/// The servers that may get new sessions, in order.
#[derive(Debug)]
pub(super) struct Turns {
    order: Order,
    notes: Notes,
    members: Box<[Member]>,
    tournament: Tournament<Key>,
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
    load: Load,
    due: u64,
}

/// Where a server stands now.
enum Standing {
    Ready(Key),
    Full,
    /// It has room, but requests wait there and go first.
    Awaited,
}

/// The outcome of a pick.
pub(super) enum Turn {
    Picked(usize, Slot),
    /// No server has room.
    Nobody,
    /// So many keys were corrected that others should have the lock first.
    Again,
}

/// The time in which a server with the effective weight 1 has one turn. All other turns repeat in it too.
const ROUND: u64 = 1 << 40;
/// Time starts over before it overflows.
const LATEST: u64 = 1 << 62;
/// How many keys are corrected at most while other picks wait.
const CORRECTIONS: usize = 256;

impl Turns {
    /// The order of these servers: their positions and effective weights. `time` is that of the order before.
    pub(super) fn new(order: Order, notes: Notes, members: &[(usize, u64)], time: u64, all: &All<'_>) -> Self {
        let time = time % ROUND;
        let count = members.len() as u64;
        let member = |(nth, &(at, weight)): (usize, &(usize, u64))| {
            let step = ROUND / weight.max(1);
            Member { at, weight, step, due: next_due(offset(nth as u64, count, step), step, time) }
        };
        let members: Box<[Member]> = members.iter().enumerate().map(member).collect();
        let mut turns = Self { order, notes, tournament: Tournament::new(Vec::new()), members, time };
        turns.tournament = Tournament::new((0..turns.members.len()).map(|nth| turns.key(nth, all)).collect());
        turns
    }

    /// When the last server that was picked was due.
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// Leaves the notes to the order that follows this one, which continues from the time returned. It may still be used,
    /// but it no longer says on which numbers notes depend.
    pub(super) fn retire(&mut self) -> u64 {
        self.notes = Notes::DoNotCome;
        self.time
    }

    /// Takes a slot at the next server, except for those that `unusable` names for this request alone.
    pub(super) fn next(&mut self, all: &All<'_>, unusable: impl Fn(usize) -> bool) -> Turn {
        if self.time >= LATEST {
            let members: Vec<(usize, u64)> = self.members.iter().map(|member| (member.at, member.weight)).collect();
            *self = Self::new(self.order, self.notes, &members, self.time, all);
        }
        if self.take_notes(all) == Left::Some {
            return Turn::Again;
        }
        let mut passed_over = SmallVec::<[usize; 4]>::new();
        let turn = self.search(all, &mut passed_over, unusable);
        passed_over.into_iter().for_each(|nth| self.correct(nth, all));
        turn
    }

    fn search(&mut self, all: &All<'_>, passed_over: &mut SmallVec<[usize; 4]>, unusable: impl Fn(usize) -> bool) -> Turn {
        for _ in 0..CORRECTIONS {
            let Some((nth, key)) = self.tournament.first() else { return Turn::Nobody };
            let at = self.members[nth].at;
            if unusable(at) {
                passed_over.push(nth);
                self.tournament.set(nth, None);
                continue;
            }
            let current = self.key(nth, all);
            if current != Some(key) {
                self.tournament.set(nth, current);
            } else if let Some(slot) = all.servers[at].admit_new() {
                self.advance(nth);
                self.correct(nth, all);
                return Turn::Picked(at, slot);
            }
        }
        Turn::Again
    }

    fn take_notes(&mut self, all: &All<'_>) -> Left {
        match self.notes {
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
        let member = &mut self.members[nth];
        if !self.tournament.takes_part(nth) && member.due < self.time {
            member.due = next_due(member.due, member.step, self.time);
        }
    }

    fn correct(&mut self, nth: usize, all: &All<'_>) {
        let key = self.key(nth, all);
        self.tournament.set(nth, key);
    }

    /// Its turn has come: the next one is at its next point in time.
    fn advance(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if self.order != Order::AsListed {
            let late = member.due < self.time;
            self.time = self.time.max(member.due);
            member.due = if late { next_due(member.due, member.step, self.time) } else { member.due + member.step };
        }
    }

    fn key(&self, nth: usize, all: &All<'_>) -> Option<Key> {
        let member = &self.members[nth];
        match self.standing(nth, &all.servers[member.at]) {
            Standing::Ready(key) => Some(key),
            Standing::Full => None,
            Standing::Awaited => {
                // Nothing notes when they have gone, so the next pick looks again.
                if self.notes == Notes::Come {
                    all.board.note(member.at);
                }
                None
            }
        }
    }

    fn standing(&self, nth: usize, server: &Server) -> Standing {
        loop {
            let in_flight = server.in_flight();
            if let Some(limit) = server.limit_for_new().filter(|&limit| in_flight >= limit) {
                if self.is_noted_below(limit, server) {
                    return Standing::Full;
                }
                continue;
            }
            if server.limit_for_new().is_some() && server.waiting() > 0 {
                return Standing::Awaited;
            }
            if self.order != Order::ByLoad || self.is_noted_below(in_flight, server) {
                return Standing::Ready(self.key_with(nth, in_flight, server));
            }
        }
    }

    /// From now on, a note comes when the server has fewer in flight. False if it has fewer already.
    fn is_noted_below(&self, in_flight: u32, server: &Server) -> bool {
        match self.notes {
            Notes::Come => server.queue().note_below(in_flight),
            Notes::DoNotCome => true,
        }
    }

    fn key_with(&self, nth: usize, in_flight: u32, server: &Server) -> Key {
        const NONE: Load = Load { requests: 0, weight: 1 };
        let member = &self.members[nth];
        match self.order {
            Order::InTurn => Key { load: NONE, due: member.due },
            Order::AsListed => Key { load: NONE, due: nth as u64 },
            // An idle server counts with its full weight: among idle servers, turns divide the requests.
            Order::ByLoad => {
                let weight = if in_flight == 0 { weight::full(server.weight()) } else { member.weight };
                Key { load: Load { requests: u64::from(in_flight), weight }, due: member.due }
            }
        }
    }
}

/// The servers of an upstream, and the board of the tier.
pub(super) struct All<'u> {
    pub(super) servers: &'u [Server],
    pub(super) board: &'u Board,
}

/// When a member is due first. The offsets are spread over one turn, in the order of the members.
fn offset(nth: u64, count: u64, step: u64) -> u64 {
    (2 * nth + 1) * step / (2 * count)
}

/// The first of a member's points in time after `time`; `point` is one of them.
fn next_due(point: u64, step: u64, time: u64) -> u64 {
    if point > time { point } else { point + ((time - point) / step + 1) * step }
}
