//! What the final response does to the session's tie. Decided once, for the server that answered.

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue, StatusCode};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use crate::http::cache_control::make_private;
use crate::http::request::Response;
use crate::http::set_cookie::name_of;
use crate::sticky::spec::NewTieOn;
use crate::sticky::token::{SessionNumber, Stamps};
use crate::sticky::{Due, Entry, Tie};
use crate::time::Now;

use super::exchange::{Decision, Exchange, Preflight, Standing};
use super::words::{Fate, Settled};

/// What is to be changed in the response, and the word for it.
#[derive(Debug)]
pub struct Settlement {
    pub settled: Settled,
    /// What the server's own Set-Cookie lines become where one of them bears our cookie's name.
    pub server_cookies: Option<Vec<HeaderValue>>,
    /// Set-Cookie lines to add.
    pub cookies: SmallVec<[HeaderValue; 1]>,
    /// What Cache-Control becomes, so that no shared cache keeps a response with our cookie.
    pub cache_control: Option<HeaderValue>,
}

/// What becomes of one entry's tie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Write {
    Renewal,
    Move,
    New,
    /// A new tie in the place of one that was worth nothing.
    Replacement,
}

impl Exchange {
    /// Settles the tie with the server picked last, which has sent this final response (or 101).
    pub fn settle(&self, response: &Response<'_>, now: Now, random: &mut impl CryptoRng) -> Settlement {
        let server_cookies = self.without_ours(response.headers);
        let mut settlement =
            Settlement { settled: Settled::None, server_cookies, cookies: SmallVec::new(), cache_control: None };
        let Some(decision) = self.decided else {
            return settlement;
        };
        if decision.fate == Fate::Kept {
            settlement.settled = Settled::Kept;
        }
        if self.preflight == Preflight::Yes {
            return settlement;
        }
        let stamps = self.stamps(&decision, now);
        for (entry, write) in self.writes(&decision, response.status, now) {
            let cookie = entry.write(&self.tie(&decision, stamps, random), self.scheme, random);
            settlement.cookies.extend(cookie);
            settlement.settled = write.word();
        }
        if !settlement.cookies.is_empty() {
            settlement.cache_control = make_private(response.headers);
        }
        settlement
    }

    /// The entries whose tie is written, by the table in docs/reference.md, "Settling".
    fn writes(&self, decision: &Decision, status: StatusCode, now: Now) -> SmallVec<[(&Entry, Write); 1]> {
        let entries = self.pool.chain.entries();
        let mut writes: SmallVec<[(&Entry, Write); 1]> = SmallVec::new();
        for (at, (entry, standing)) in entries.iter().zip(&self.standings).enumerate() {
            let write = match decision.fate {
                Fate::Detour => None,
                Fate::Kept if decision.entry == Some(at) => renewal(entry, standing, now),
                Fate::Kept | Fate::Moved => correction(standing, decision.at),
                Fate::New => matches!(standing, Standing::Bad(_)).then_some(Write::Replacement),
            };
            writes.extend(write.map(|write| (entry, write)));
        }
        if decision.fate == Fate::New && writes.is_empty() {
            writes.extend(entries.first().map(|entry| (entry, Write::New)));
        }
        writes.retain(|(entry, write)| !write.begins() || ties_new(entry.new_tie_on(), status));
        writes
    }

    fn tie(&self, decision: &Decision, stamps: Stamps, random: &mut impl CryptoRng) -> Tie<'_> {
        let session = self.named(decision).and_then(|named| named.session).or(self.session);
        Tie {
            server: self.pool.upstream.servers()[decision.at].id(),
            tag: self.pool.tags[decision.at],
            session: session.unwrap_or_else(|| SessionNumber::random(random)),
            stamps,
        }
    }

    /// A session keeps its date of issue through renewals and moves.
    fn stamps(&self, decision: &Decision, now: Now) -> Stamps {
        let before = self.named(decision).and_then(|named| named.stamps);
        Stamps { issued: before.map_or(now.wall, |stamps| stamps.issued.min(now.wall)), seen: now.wall }
    }

    fn named(&self, decision: &Decision) -> Option<&crate::sticky::claim::Named> {
        match self.standings.get(decision.entry?)? {
            Standing::Tied(_, named) | Standing::Unknown(named) => Some(named),
            Standing::Absent | Standing::Bad(_) => None,
        }
    }

    /// The server's Set-Cookie lines without those of our name; None when there is none of ours among them.
    fn without_ours(&self, headers: &HeaderMap) -> Option<Vec<HeaderValue>> {
        let ours = |value: &&HeaderValue| name_of(value).is_some_and(|name| self.pool.chain.owns(name));
        let lines = headers.get_all(SET_COOKIE);
        lines.iter().any(|value| ours(&value)).then(|| lines.iter().filter(|value| !ours(value)).cloned().collect())
    }
}

impl Write {
    fn word(self) -> Settled {
        match self {
            Self::Renewal => Settled::Renewed,
            Self::Move | Self::Replacement => Settled::Rewritten,
            Self::New => Settled::Inserted,
        }
    }

    /// Whether it ties a session that was not tied before.
    fn begins(self) -> bool {
        match self {
            Self::New | Self::Replacement => true,
            Self::Renewal | Self::Move => false,
        }
    }
}

fn renewal(entry: &Entry, standing: &Standing, now: Now) -> Option<Write> {
    match standing {
        Standing::Tied(_, named) if named.stamps.is_some_and(|stamps| entry.renewal(stamps, now) == Due::Now) => {
            Some(Write::Renewal)
        }
        Standing::Absent | Standing::Tied(..) | Standing::Unknown(_) | Standing::Bad(_) => None,
    }
}

/// Entries that say something else than the server that answered are brought into agreement; those that say nothing are
/// left alone.
fn correction(standing: &Standing, at: usize) -> Option<Write> {
    match standing {
        Standing::Tied(tied, _) if *tied == at => None,
        Standing::Tied(..) | Standing::Unknown(_) | Standing::Bad(_) => Some(Write::Move),
        Standing::Absent => None,
    }
}

fn ties_new(on: NewTieOn, status: StatusCode) -> bool {
    match on {
        NewTieOn::Any => true,
        NewTieOn::Below500 => !status.is_server_error(),
    }
}
