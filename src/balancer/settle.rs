//! What the final response does to the session's tie. Decided once, for the server that answered.

use ::http::{HeaderMap, HeaderValue, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use crate::http::cache_control::make_private;
use crate::http::request::Response;
use crate::session::claim::{Minted, Named};
use crate::session::lifetime::Due;
use crate::session::name::SessionName;
use crate::session::number::SessionNumber;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::sticky::affinity::{self, Wish};
use crate::sticky::answers::{AppSignal, Writes};
use crate::sticky::edits::{Carried, ResponseEdits};
use crate::sticky::entry::{Entry, EntryKind};
use crate::sticky::learn::Pending;
use crate::sticky::spec::{Caching, NewTieOn};
use crate::time::Now;

use super::exchange::{Decision, Exchange, Standing};
use super::learning::Learning;
use crate::balancer::reason::{Fate, Move, Settled};

/// What is to be changed in the response, and the words for it.
#[derive(Debug)]
pub struct Settlement {
    pub settled: Settled,
    /// What became of the session; a detour may have become a move.
    pub fate: Option<Fate>,
    /// Why the tie is now another server's.
    pub moved: Option<Move>,
    pub edits: ResponseEdits,
    /// What Cache-Control becomes, so that no shared cache keeps a response with our token.
    pub cache_control: Option<HeaderValue>,
    /// Sessions to learn when the response is complete.
    pub pending: Vec<Pending>,
}

/// What becomes of one entry's tie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Write {
    Renewal,
    Move,
    New,
    /// A new tie in the place of one that was worth nothing.
    Replacement,
    /// A token of ours in the place of another proxy's.
    Adoption,
    /// The client is to forget it.
    End,
}

type Plan = SmallVec<[Option<Write>; 8]>;

impl Exchange {
    /// Settles the tie with the server picked last, which has sent this final response (or 101).
    pub fn settle(&self, response: &Response<'_>, now: Now, random: &mut impl CryptoRng) -> Settlement {
        // Of several the first counts.
        let said = response.headers.get(&affinity::HEADER);
        let wish = said.and_then(|said| affinity::wish(said, self.pool.chain.affinity()));
        let served = self.decided.map(|decision| self.at_last(decision, response.headers, now));
        // What is written now is good from now on.
        served.inspect(|served| self.pool.upstream.servers()[served.at].live().claimed(now.uptime));
        let decision = served.map(|served| self.as_wished(served, wish.as_ref()));
        let (writes, learned) = match &decision {
            Some(decision) if self.facts.ties() => {
                (self.plan(decision, wish.as_ref(), response, now), self.learn(decision, wish.as_ref(), response, now))
            }
            Some(_) | None => (SmallVec::from_elem(None, self.standings.len()), Learning::default()),
        };
        let carried = self.carried(decision.as_ref(), &writes, now, random);
        let edits = self.response_edits(response.headers, &carried, now);
        let cache_control = self.is_private(&writes).then(|| make_private(response.headers)).flatten();
        let fate = served.map(|served| served.fate);
        let is_moved = writes.contains(&Some(Write::Move)) || learned.word == Some(Settled::Rewritten);
        let moved = decision.filter(|_| is_moved).and_then(|decision| moved(&decision, wish));
        let settled = self.word(fate, &writes, &learned, response.headers, now);
        Settlement { settled, fate, moved, edits, cache_control, pending: learned.pending }
    }

    /// What is to be changed in an informational response. It settles nothing, but what is said to Burdock, or would be taken
    /// for Burdock's, is not for the client here either.
    pub fn interim_edits(&self, headers: &HeaderMap, now: Now) -> ResponseEdits {
        let nothing: SmallVec<[Option<Carried>; 2]> = SmallVec::from_elem(None, self.standings.len());
        self.response_edits(headers, &nothing, now)
    }

    fn response_edits(&self, headers: &HeaderMap, carried: &[Option<Carried>], now: Now) -> ResponseEdits {
        let mut edits = self.pool.chain.response_edits(headers, carried, &self.facts.reader(), now);
        if headers.contains_key(&affinity::HEADER) {
            edits.remove.push(affinity::HEADER.clone());
        }
        edits
    }

    /// An application that creates a session during a detour has moved it for good.
    fn at_last(&self, decision: Decision, headers: &HeaderMap, now: Now) -> Decision {
        let creates = || self.pool.chain.entries().iter().any(|entry| entry.spoken(headers, now) == AppSignal::Creates);
        match decision.fate {
            Fate::Detour if creates() => Decision { fate: Fate::Moved, ..decision },
            Fate::Detour | Fate::Kept | Fate::New | Fate::Moved => decision,
        }
    }

    /// The server that the session is to be tied to: the one that answered, unless the application names another that may take
    /// it.
    fn as_wished(&self, served: Decision, wish: Option<&Wish>) -> Decision {
        let Some(Wish::MoveTo(id)) = wish else { return served };
        let other = self.pool.upstream.position(id).filter(|&at| at != served.at);
        match other.filter(|&at| self.pool.upstream.servers()[at].takes_new()) {
            Some(at) => Decision { fate: Fate::Moved, at, ..served },
            None => served,
        }
    }

    /// What each entry does, by the table in docs/reference.md, "Settling".
    fn plan(&self, decision: &Decision, wish: Option<&Wish>, response: &Response<'_>, now: Now) -> Plan {
        let entries = || self.pool.chain.entries().iter().zip(&self.standings);
        if wish == Some(&Wish::Release) {
            return entries().map(|(entry, standing)| release(entry, standing)).collect();
        }
        let mut plan: Plan = entries()
            .enumerate()
            .map(|(nth, (entry, standing))| self.write(nth, entry, standing, decision, wish, response, now))
            .collect();
        let untied = decision.fate == Fate::New || (decided_by_wish(wish, decision) && self.is_untied());
        if untied && plan.iter().all(Option::is_none) {
            // Nobody knows yet whether this client keeps cookies or headers, so it gets one of each kind.
            for is_kind in [is_cookie, is_header] {
                let first = entries().position(|(entry, _)| is_kind(entry) && self.may_insert(entry, response));
                first.into_iter().for_each(|nth| plan[nth] = Some(Write::New));
            }
        }
        for ((entry, _), write) in entries().zip(&mut plan) {
            *write = write.filter(|write| !write.begins() || ties_new(entry.new_tie_on(), response.status));
        }
        plan
    }

    #[expect(clippy::too_many_arguments, reason = "all that the table of settling depends on")]
    fn write(
        &self,
        nth: usize,
        entry: &Entry,
        standing: &Standing,
        decision: &Decision,
        wish: Option<&Wish>,
        response: &Response<'_>,
        now: Now,
    ) -> Option<Write> {
        match entry.writes() {
            Writes::Never | Writes::InTable => None,
            Writes::WhenSpoken if entry.spoken(response.headers, now) != AppSignal::Creates => None,
            Writes::WhenSpoken => spoken(standing, decision),
            Writes::Always if entry.is_preserved(response.headers) => None,
            Writes::Always => match decision.fate {
                Fate::Detour => None,
                Fate::Kept if decision.entry == Some(nth) => renewal(entry, standing, wish, now),
                Fate::Kept | Fate::Moved => correction(standing, decision.at),
                Fate::New => {
                    let replaces = matches!(standing, Standing::Bad(_)) && self.facts.begins(entry.methods());
                    replaces.then_some(Write::Replacement)
                }
            },
        }
    }

    fn may_insert(&self, entry: &Entry, response: &Response<'_>) -> bool {
        let always = entry.writes() == Writes::Always;
        always && self.facts.begins(entry.methods()) && !entry.is_preserved(response.headers)
    }

    /// Whether the request carried no tie that could be moved.
    fn is_untied(&self) -> bool {
        self.standings.iter().all(|standing| matches!(standing, Standing::Absent | Standing::Fresh(..)))
    }

    fn carried(
        &self,
        decision: Option<&Decision>,
        writes: &Plan,
        now: Now,
        random: &mut impl CryptoRng,
    ) -> SmallVec<[Option<Carried>; 4]> {
        let entries = self.pool.chain.entries().iter();
        entries
            .zip(writes)
            .map(|(entry, write)| match (write, decision) {
                (None, _) | (_, None) => None,
                (Some(Write::End), _) => Some(Carried::Deletion),
                (Some(_), Some(decision)) => {
                    let tie = self.tie(decision, now, random);
                    self.pool.token_made(decision.at, tie.session, now);
                    entry.token(&tie, random).map(Carried::Token)
                }
            })
            .collect()
    }

    fn tie(&self, decision: &Decision, now: Now, random: &mut impl CryptoRng) -> Tie<'_> {
        let named = self.named(decision).and_then(|named| named.session.as_ref()).or(self.session.as_ref());
        Tie {
            tag: self.pool.tags[decision.at],
            route: self.pool.upstream.servers()[decision.at].route(),
            session: named.and_then(SessionName::number).unwrap_or_else(|| SessionNumber::random(random)),
            stamps: self.stamps(decision, now),
        }
    }

    /// A session keeps its date of issue through renewals and moves.
    fn stamps(&self, decision: &Decision, now: Now) -> Stamps {
        let before = self.named(decision).and_then(|named| named.stamps);
        Stamps { issued: before.map_or(now.wall, |stamps| stamps.issued.min(now.wall)), seen: now.wall }
    }

    fn named(&self, decision: &Decision) -> Option<&Named> {
        match self.standings.get(decision.entry?)? {
            Standing::Tied(_, named) | Standing::Unknown(named) => Some(named),
            Standing::Absent | Standing::Fresh(..) | Standing::Keyed(..) | Standing::Bad(_) => None,
        }
    }

    fn is_private(&self, writes: &Plan) -> bool {
        let mut entries = self.pool.chain.entries().iter().zip(writes);
        entries.any(|(entry, write)| write.is_some() && entry.caching() == Caching::Private)
    }

    fn word(&self, fate: Option<Fate>, writes: &Plan, learned: &Learning, headers: &HeaderMap, now: Now) -> Settled {
        let written = writes.iter().flatten().next().map(|write| write.word());
        if let Some(word) = written.or(learned.word) {
            return word;
        }
        let mut tied = self.pool.chain.entries().iter().zip(&self.standings).filter(|(_, standing)| standing.is_tie());
        if self.facts.ties() && tied.any(|(entry, _)| entry.spoken(headers, now) == AppSignal::Deletes) {
            return Settled::Forgotten;
        }
        if fate == Some(Fate::Kept) { Settled::Kept } else { Settled::None }
    }
}

impl Standing {
    /// Whether the request carries something that this entry has tied, or could have.
    fn is_tie(&self) -> bool {
        match self {
            Self::Tied(..) | Self::Unknown(_) | Self::Bad(_) => true,
            Self::Absent | Self::Fresh(..) | Self::Keyed(..) => false,
        }
    }
}

impl Write {
    fn word(self) -> Settled {
        match self {
            Self::Renewal => Settled::Renewed,
            Self::Move | Self::Replacement | Self::Adoption => Settled::Rewritten,
            Self::New => Settled::Inserted,
            Self::End => Settled::Forgotten,
        }
    }

    /// Whether it ties a session that was not tied before.
    fn begins(self) -> bool {
        match self {
            Self::New | Self::Replacement => true,
            Self::Renewal | Self::Move | Self::Adoption | Self::End => false,
        }
    }
}

fn is_cookie(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Cookie(_))
}

fn is_header(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Header(_))
}

fn moved(decision: &Decision, wish: Option<Wish>) -> Option<Move> {
    match (decision.cause, wish) {
        (_, Some(Wish::MoveTo(_))) if decision.fate == Fate::Moved => Some(Move::Application),
        (Some(cause), _) if decision.fate == Fate::Moved => Some(Move::Lost(cause)),
        _ => None,
    }
}

fn decided_by_wish(wish: Option<&Wish>, decision: &Decision) -> bool {
    matches!(wish, Some(Wish::MoveTo(_))) && decision.fate == Fate::Moved
}

fn release(entry: &Entry, standing: &Standing) -> Option<Write> {
    (entry.writes() == Writes::Always && standing.is_tie()).then_some(Write::End)
}

/// What an entry writes into the application's own cookie or header, which it has just sent.
fn spoken(standing: &Standing, decision: &Decision) -> Option<Write> {
    Some(match (decision.fate, standing) {
        (Fate::Detour, _) => return None,
        (_, Standing::Bad(_)) => Write::Replacement,
        (_, Standing::Absent | Standing::Fresh(..) | Standing::Keyed(..)) => Write::New,
        (_, Standing::Tied(tied, named)) if tied.contains(&decision.at) => match named.minted {
            Minted::Here => Write::Renewal,
            Minted::By(_) => Write::Adoption,
        },
        (_, Standing::Tied(..) | Standing::Unknown(_)) => Write::Move,
    })
}

fn renewal(entry: &Entry, standing: &Standing, wish: Option<&Wish>, now: Now) -> Option<Write> {
    let Standing::Tied(_, named) = standing else { return None };
    match (named.minted, named.stamps) {
        (Minted::By(_), _) => Some(Write::Adoption),
        (Minted::Here, Some(_)) if wish == Some(&Wish::Extend) => Some(Write::Renewal),
        (Minted::Here, Some(stamps)) if entry.renewal(stamps, now) == Due::Now => Some(Write::Renewal),
        (Minted::Here, Some(_) | None) => None,
    }
}

/// Entries that say something else than the server that answered are brought into agreement; those that say nothing are
/// left alone.
fn correction(standing: &Standing, at: usize) -> Option<Write> {
    match standing {
        Standing::Tied(tied, named) if tied.contains(&at) => match named.minted {
            Minted::Here => None,
            Minted::By(_) => Some(Write::Adoption),
        },
        Standing::Tied(..) | Standing::Unknown(_) => Some(Write::Move),
        Standing::Bad(_) => Some(Write::Replacement),
        Standing::Absent | Standing::Fresh(..) | Standing::Keyed(..) => None,
    }
}

pub(super) fn ties_new(on: NewTieOn, status: StatusCode) -> bool {
    match on {
        NewTieOn::Any => true,
        NewTieOn::Below500 => !status.is_server_error(),
        NewTieOn::Below400 => status.is_informational() || status.is_success() || status.is_redirection(),
    }
}
