//! What others are told of a decision: the server by headers, log and metrics by words. It decides nothing.

use ::http::{HeaderMap, HeaderValue};

use super::{Exchange, Standing};
use crate::balancer::reason::{Fate, Method};
use crate::session::claim::{Minted, Named};
use crate::session::foreign_format::ForeignFormat;
use crate::sticky::affinity::{self, Arrival};
use crate::sticky::edits::RequestEdits;
use crate::sticky::entry::{Entry, EntryKind};
use crate::sticky::spec::Announce;
use crate::time::Now;
use crate::upstream::server::Server;

impl Exchange {
    /// The kind of the entry that decided.
    pub fn method(&self) -> Method {
        match self.decided.and_then(|decision| decision.entry) {
            Some(at) => method_of(&self.pool.chain.entries()[at]),
            None => Method::None,
        }
    }

    /// The server that the session was tied to when it is served by another.
    pub fn from(&self) -> Option<&Server> {
        let decision = self.decided?;
        let at = match self.standings.get(decision.entry?)? {
            Standing::Tied(tied, _) if !tied.contains(&decision.at) => *tied.first()?,
            Standing::Keyed(Some(home), _) if *home != decision.at => *home,
            Standing::Absent
            | Standing::Fresh(..)
            | Standing::Tied(..)
            | Standing::Keyed(..)
            | Standing::Unknown(_)
            | Standing::Bad(_) => {
                return None;
            }
        };
        Some(&self.pool.upstream.servers()[at])
    }

    /// The proxy whose token decided, where it was not one of ours.
    pub fn foreign(&self) -> Option<ForeignFormat> {
        match self.standings.get(self.decided?.entry?)? {
            Standing::Tied(_, Named { minted: Minted::By(format), .. }) => Some(*format),
            Standing::Absent
            | Standing::Fresh(..)
            | Standing::Tied(..)
            | Standing::Keyed(..)
            | Standing::Unknown(_)
            | Standing::Bad(_) => None,
        }
    }

    /// What is to be changed in the request for the server that was picked last.
    pub fn request_edits(&self, headers: &HeaderMap, now: Now) -> RequestEdits {
        let mut edits = self.pool.chain.request_edits(headers, &self.pool.cookies, self.cookie, now);
        if headers.contains_key(&affinity::HEADER) {
            edits.remove.push(affinity::HEADER.clone());
        }
        let announcement = self.announcement().map(|value| (affinity::HEADER.clone(), value));
        edits.set.extend(announcement);
        edits
    }

    fn announcement(&self) -> Option<HeaderValue> {
        let decision = self.decided.filter(|_| self.pool.chain.affinity().announce == Announce::On)?;
        let arrival = match decision.fate {
            Fate::Kept | Fate::New => return None,
            Fate::Moved => Arrival::Moved,
            Fate::Detour => Arrival::Detour,
        };
        affinity::announcement(arrival, self.from().map(Server::id), decision.reason.as_str())
    }
}

fn method_of(entry: &Entry) -> Method {
    match &entry.kind {
        EntryKind::Cookie(_) => Method::Cookie,
        EntryKind::Header(_) => Method::Header,
        EntryKind::Route(_) => Method::Route,
        EntryKind::Hash(_) => Method::Hash,
        EntryKind::Learn(_) => Method::Learn,
    }
}
