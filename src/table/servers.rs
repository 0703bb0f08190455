//! The servers that a table's entries name, by number. A number is given to another server only when nobody holds it and
//! neither an entry nor a change that is still to be written has it.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::ServerIndex;
use crate::ids::ServerId;

/// A server that sessions of a table may be tied to. While it is held, its number stays its own.
#[derive(Clone, Debug)]
pub struct Enlisted {
    index: ServerIndex,
    _held: Arc<()>,
}

/// A table names at most 65,536 servers at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session table names at most 65536 servers at one time")]
pub struct TooManyServers;

impl TooManyServers {
    /// As many servers as a table can name.
    pub const MOST: usize = 1 << u16::BITS;
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
    held: Arc<()>,
    found: Found,
}

/// What [`Servers::tidy`] has last found of a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    Needed,
    /// Nobody held it and no entry had it, so none has come since; changes from before may still name it.
    Unneeded,
}

impl Enlisted {
    pub fn index(&self) -> ServerIndex {
        self.index
    }
}

impl Servers {
    pub(crate) fn enlist(&mut self, id: &ServerId) -> Result<Enlisted, TooManyServers> {
        if let Some((index, server)) = self.find(id).and_then(|index| Some((index, self.at_mut(index)?))) {
            server.found = Found::Needed;
            return Ok(Enlisted { index, _held: Arc::clone(&server.held) });
        }
        let index = self.next()?;
        let held = Arc::new(());
        self.by_id.insert(id.clone(), index);
        self.by_index[index.get()] = Some(Numbered { id: id.clone(), held: Arc::clone(&held), found: Found::Needed });
        Ok(Enlisted { index, _held: held })
    }

    pub(crate) fn find(&self, id: &ServerId) -> Option<ServerIndex> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, index: ServerIndex) -> Option<&ServerId> {
        self.by_index.get(index.get())?.as_ref().map(|server| &server.id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (ServerIndex, &ServerId)> {
        (0..=u16::MAX).zip(&self.by_index).filter_map(|(index, server)| Some((ServerIndex(index), &server.as_ref()?.id)))
    }

    /// Frees the numbers that nobody needed the last time either, and tells how many. In between, all changes are to be taken
    /// out.
    pub(crate) fn tidy(&mut self, entries: impl Fn(ServerIndex) -> u64) -> usize {
        let mut freed = 0;
        for (index, place) in (0..=u16::MAX).map(ServerIndex).zip(&mut self.by_index) {
            let Some(server) = place else { continue };
            // The last holder's entries are counted before it lets go, and `get_mut` sees what came before that.
            let needed = Arc::get_mut(&mut server.held).is_none() || entries(index) > 0;
            match (needed, server.found) {
                (true, _) => server.found = Found::Needed,
                (false, Found::Needed) => server.found = Found::Unneeded,
                (false, Found::Unneeded) => {
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
    fn a_server_has_one_number_however_often_it_is_enlisted() {
        let mut servers = Servers::default();
        let first = servers.enlist(&id("a")).unwrap();
        assert_ne!(servers.enlist(&id("b")).unwrap().index(), first.index());
        assert_eq!(servers.enlist(&id("a")).unwrap().index(), first.index());
        assert_eq!(servers.id(first.index()), Some(&id("a")));
        assert_eq!(servers.all().count(), 2);
    }

    #[test]
    fn a_number_that_is_held_or_used_is_not_given_away() {
        let mut servers = Servers::default();
        let held = servers.enlist(&id("held")).unwrap();
        let used = servers.enlist(&id("used")).unwrap().index();
        let gone = servers.enlist(&id("gone")).unwrap().index();
        assert_eq!(servers.tidy(|index| u64::from(index == used)), 0, "a change may still name it");
        assert_eq!(servers.tidy(|index| u64::from(index == used)), 1);
        assert_eq!(servers.find(&id("gone")), None);
        assert_eq!(servers.enlist(&id("new")).unwrap().index(), gone);
        assert_eq!(servers.find(&id("held")), Some(held.index()));
        assert_eq!(servers.id(used), Some(&id("used")));
    }

    #[test]
    fn a_number_that_was_needed_again_in_between_is_not_given_away() {
        let mut servers = Servers::default();
        let index = servers.enlist(&id("back")).unwrap().index();
        assert_eq!(servers.tidy(|_| 0), 0);
        drop(servers.enlist(&id("back")).unwrap());
        assert_eq!(servers.tidy(|_| 0), 0, "what it did meanwhile may be in a change");
        assert_eq!(servers.tidy(|_| 1), 0);
        assert_eq!(servers.tidy(|_| 0), 0);
        assert_eq!(servers.id(index), Some(&id("back")));
        assert_eq!(servers.tidy(|_| 0), 1);
    }

    #[test]
    fn there_are_65536_numbers() {
        let mut servers = Servers::default();
        for n in 0..65_536 {
            servers.enlist(&id(&n.to_string())).unwrap();
        }
        assert_eq!(servers.enlist(&id("more")).unwrap_err(), TooManyServers);
        assert!(servers.enlist(&id("0")).is_ok());
        assert_eq!((servers.tidy(|_| 0), servers.tidy(|_| 0)), (0, 65_536));
        assert!(servers.enlist(&id("more")).is_ok());
    }
}
