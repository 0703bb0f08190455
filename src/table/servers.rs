//! The servers that a table's entries name, by number. A number is reused only when no handle holds it and neither an entry nor a
//! pending change refers to it.

use std::collections::HashMap;
use std::sync::Arc;

use super::decisions::Rank;
use super::entry::ServerIndex;
use crate::ids::ServerId;

/// A server that sessions of a table may be tied to. While the handle exists, the server keeps its number.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    index: ServerIndex,
    rank: Rank,
    _held: Arc<()>,
}

/// A table names at most 65,536 servers at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session table names at most 65536 servers at one time")]
pub struct TooManyServers;

impl TooManyServers {
    /// The number of servers that a table can name.
    pub const MAX: usize = 1 << u16::BITS;
}

#[derive(Debug, Default)]
pub(crate) struct Servers {
    by_id: HashMap<ServerId, ServerIndex, rustc_hash::FxBuildHasher>,
    by_index: Vec<Option<Numbered>>,
    free: Vec<ServerIndex>,
}

#[derive(Debug)]
struct Numbered {
    id: ServerId,
    rank: Rank,
    held: Arc<()>,
    usage: Usage,
}

/// The result of the last [`Servers::tidy`] for a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Usage {
    Needed,
    /// No handle held it and no entry had it, so no new use can follow; earlier changes may still name it.
    Unneeded,
}

impl ServerHandle {
    pub fn index(&self) -> ServerIndex {
        self.index
    }

    pub(crate) fn rank(&self) -> Rank {
        self.rank
    }
}

impl Servers {
    pub(crate) fn register(&mut self, id: &ServerId) -> Result<ServerHandle, TooManyServers> {
        if let Some((index, server)) = self.find(id).and_then(|index| Some((index, self.at_mut(index)?))) {
            server.usage = Usage::Needed;
            return Ok(ServerHandle { index, rank: server.rank, _held: Arc::clone(&server.held) });
        }
        let index = self.next()?;
        let (held, rank) = (Arc::new(()), Rank::of(id));
        self.by_id.insert(id.clone(), index);
        let numbered = Numbered { id: id.clone(), rank, held: Arc::clone(&held), usage: Usage::Needed };
        self.by_index[index.get()] = Some(numbered);
        Ok(ServerHandle { index, rank, _held: held })
    }

    pub(crate) fn find(&self, id: &ServerId) -> Option<ServerIndex> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, index: ServerIndex) -> Option<&ServerId> {
        self.by_index.get(index.get())?.as_ref().map(|server| &server.id)
    }

    pub(crate) fn rank(&self, index: ServerIndex) -> Option<Rank> {
        self.by_index.get(index.get())?.as_ref().map(|server| server.rank)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (ServerIndex, &ServerId)> {
        (0..=u16::MAX).zip(&self.by_index).filter_map(|(index, server)| Some((ServerIndex(index), &server.as_ref()?.id)))
    }

    /// Frees the numbers that the last call found unneeded too, and returns how many. Between the two calls, all changes must be
    /// drained.
    pub(crate) fn tidy(&mut self, entries: impl Fn(ServerIndex) -> u64) -> usize {
        let mut freed = 0;
        for (index, place) in (0..=u16::MAX).map(ServerIndex).zip(&mut self.by_index) {
            let Some(server) = place else { continue };
            // The last handle's entries are counted before it is dropped, and `get_mut` synchronizes with that drop.
            let needed = Arc::get_mut(&mut server.held).is_none() || entries(index) > 0;
            match (needed, server.usage) {
                (true, _) => server.usage = Usage::Needed,
                (false, Usage::Needed) => server.usage = Usage::Unneeded,
                (false, Usage::Unneeded) => {
                    self.by_id.remove(&server.id);
                    *place = None;
                    self.free.push(index);
                    freed += 1;
                }
            }
        }
        freed
    }

    fn at_mut(&mut self, index: ServerIndex) -> Option<&mut Numbered> {
        self.by_index.get_mut(index.get())?.as_mut()
    }

    fn next(&mut self) -> Result<ServerIndex, TooManyServers> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = u16::try_from(self.by_index.len()).map_err(|_| TooManyServers)?;
        self.by_index.push(None);
        Ok(ServerIndex(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ServerId {
        ServerId::parse(text).unwrap()
    }

    #[test]
    fn a_server_keeps_its_number_when_registered_again() {
        let mut servers = Servers::default();
        let first = servers.register(&id("a")).unwrap();
        assert_ne!(servers.register(&id("b")).unwrap().index(), first.index());
        assert_eq!(servers.register(&id("a")).unwrap().index(), first.index());
        assert_eq!(servers.id(first.index()), Some(&id("a")));
        assert_eq!(servers.all().count(), 2);
    }

    #[test]
    fn a_number_in_use_is_not_reused() {
        let mut servers = Servers::default();
        let held = servers.register(&id("held")).unwrap();
        let used = servers.register(&id("used")).unwrap().index();
        let gone = servers.register(&id("gone")).unwrap().index();
        assert_eq!(servers.tidy(|index| u64::from(index == used)), 0, "a change may still name it");
        assert_eq!(servers.tidy(|index| u64::from(index == used)), 1);
        assert_eq!(servers.find(&id("gone")), None);
        assert_eq!(servers.register(&id("new")).unwrap().index(), gone);
        assert_eq!(servers.find(&id("held")), Some(held.index()));
        assert_eq!(servers.id(used), Some(&id("used")));
    }

    #[test]
    fn a_number_needed_again_meanwhile_is_not_reused() {
        let mut servers = Servers::default();
        let index = servers.register(&id("back")).unwrap().index();
        assert_eq!(servers.tidy(|_| 0), 0);
        drop(servers.register(&id("back")).unwrap());
        assert_eq!(servers.tidy(|_| 0), 0, "a change since then may name it");
        assert_eq!(servers.tidy(|_| 1), 0);
        assert_eq!(servers.tidy(|_| 0), 0);
        assert_eq!(servers.id(index), Some(&id("back")));
        assert_eq!(servers.tidy(|_| 0), 1);
    }

    #[test]
    fn a_table_has_65536_server_numbers() {
        let mut servers = Servers::default();
        for n in 0..65_536 {
            servers.register(&id(&n.to_string())).unwrap();
        }
        assert_eq!(servers.register(&id("more")).unwrap_err(), TooManyServers);
        assert!(servers.register(&id("0")).is_ok());
        assert_eq!((servers.tidy(|_| 0), servers.tidy(|_| 0)), (0, 65_536));
        assert!(servers.register(&id("more")).is_ok());
    }
}
