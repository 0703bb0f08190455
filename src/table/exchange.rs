//! Changes that a shard receives from a peer: another process that decides about the same sessions. Applying a change twice, or one
//! that is no longer the latest, changes nothing. [`decisions`](super::decisions) says which is the latest.

use super::decisions::{Decision, Rank, Verdict};
use super::entry::{Change, ChangeKind, Entry, Session};
use super::feed::SubscriberId;
use super::shard::Shard;
use crate::session::stamps::Stamps;
use crate::time::{UnixMillis, UnixSeconds};

impl Shard {
    /// Applies a change of the peer `from`, and passes it on to the other subscribers. `rank` is that of the server, or of a deletion.
    pub(crate) fn apply(&mut self, change: &Change, rank: Rank, from: SubscriberId, now: UnixSeconds) {
        match change.kind {
            ChangeKind::Created | ChangeKind::Moved => match self.admit(change, rank) {
                Verdict::Later => self.apply_tie(change, from, now),
                Verdict::Same => self.apply_sign_of_life(change, from),
                Verdict::Earlier => {}
            },
            ChangeKind::Forgotten => match self.admit(change, rank) {
                Verdict::Later => self.apply_deletion(change, from),
                Verdict::Same | Verdict::Earlier => {}
            },
            ChangeKind::Refreshed => self.apply_sign_of_life(change, from),
            ChangeKind::Offered => self.apply_offer(change, from, now),
        }
    }

    /// A session as a change for a peer that may not know it.
    pub(crate) fn offer(&self, entry: Entry) -> Change {
        match self.decision(entry.fingerprint) {
            Some(Decision { at, rank }) if rank != Rank::FORGOTTEN => Change { kind: ChangeKind::Created, entry, at },
            Some(_) | None => Change { kind: ChangeKind::Offered, entry, at: UnixMillis::default() },
        }
    }

    fn admit(&mut self, change: &Change, rank: Rank) -> Verdict {
        let decision = Decision { at: change.at, rank };
        self.feed().decisions().map_or(Verdict::Later, |decisions| decisions.admit(change.entry.fingerprint, decision))
    }

    fn apply_tie(&mut self, change: &Change, from: SubscriberId, now: UnixSeconds) {
        _ = self.remove(change.entry.fingerprint);
        self.insert_if_live(&change.entry, now);
        self.feed().pass_on(*change, from);
    }

    fn apply_deletion(&mut self, change: &Change, from: SubscriberId) {
        _ = self.remove(change.entry.fingerprint);
        self.feed().pass_on(*change, from);
    }

    /// It counts only if the session is on the same server here, by the same decision as far as both remember it: it may have moved
    /// away and back meanwhile.
    fn apply_sign_of_life(&mut self, change: &Change, from: SubscriberId) {
        let Entry { fingerprint, session: received } = change.entry;
        let Some(known) = self.get(fingerprint) else { return };
        let decided = self.decision(fingerprint).map(|decision| decision.at);
        if change.at != UnixMillis::default() && decided.is_some_and(|decided| decided != change.at) {
            return;
        }
        let session = with_signs_of(known, received);
        if session != known {
            self.replace(fingerprint, session);
            self.feed()
                .pass_on(Change { kind: ChangeKind::Refreshed, entry: Entry { fingerprint, session }, ..*change }, from);
        }
    }

    /// It counts only if nothing is known of the session here, neither itself nor that it was deleted.
    fn apply_offer(&mut self, change: &Change, from: SubscriberId, now: UnixSeconds) {
        let fingerprint = change.entry.fingerprint;
        if self.is_live(fingerprint, now) {
            self.apply_sign_of_life(change, from);
        } else if self.decision(fingerprint).is_none() {
            _ = self.remove(fingerprint);
            self.insert_if_live(&change.entry, now);
            self.feed().pass_on(*change, from);
        }
    }
}

/// A session with the signs of life of another state of it, if that is on the same server.
fn with_signs_of(session: Session, other: Session) -> Session {
    if session.server != other.server {
        return session;
    }
    let seen = session.stamps.seen.max(other.stamps.seen);
    Session { stamps: Stamps { seen, ..session.stamps }, class: session.class.max(other.class), ..session }
}
