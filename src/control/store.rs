//! The file in the state folder with what operators have changed and which servers are leaving, so that both outlive the
//! process.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burdock::balancer::overrides::{Changes, Leaving};
use serde::{Deserialize, Serialize};

use crate::runtime::fault_injection;

/// Where it is.
#[derive(Debug)]
pub struct Store(PathBuf);

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersistedState {
    pub changes: Changes,
    pub leaving: Vec<Leaving>,
}

/// Why it could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Form { path: PathBuf, error: serde_json::Error },
    #[error("{} is of version {version}, which this Burdock does not know", .path.display())]
    Version { path: PathBuf, version: u32 },
}

const VERSION: u32 = 1;

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    version: u32,
    #[serde(default)]
    changes: Changes,
    #[serde(default)]
    leaving: Vec<Leaving>,
}

impl Store {
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("changes.json"))
    }

    /// What was written last; nothing where nothing ever was.
    ///
    /// # Errors
    /// [`StoreError`] where there is a file and it cannot be understood.
    pub fn read(&self) -> Result<PersistedState, StoreError> {
        let text = match std::fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(self.file(error)),
        };
        let form = |error| StoreError::Form { path: self.0.clone(), error };
        let stored: Stored = serde_json::from_slice(&text).map_err(form)?;
        match stored.version {
            VERSION => Ok(PersistedState { changes: stored.changes, leaving: stored.leaving }),
            version => Err(StoreError::Version { path: self.0.clone(), version }),
        }
    }

    /// Puts another file in the place of the last one, whole or not at all, and comes back when that is on disk.
    ///
    /// # Errors
    /// [`StoreError::File`] where that fails; the last one is then still there.
    pub fn write(&self, state: &PersistedState) -> Result<(), StoreError> {
        let PersistedState { changes, leaving } = state.clone();
        let stored = Stored { version: VERSION, changes, leaving };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| StoreError::Form { path: self.0.clone(), error })?;
        self.put(&text).map_err(|error| self.file(error))
    }

    /// Puts a file that cannot be understood aside, for its owner to look at. Tells where it is now.
    pub fn set_aside(&self) -> PathBuf {
        let aside = self.0.with_extension("json.unreadable");
        if let Err(error) = std::fs::rename(&self.0, &aside) {
            log::error!("cannot move {} to {}: {error}", self.0.display(), aside.display());
        }
        aside
    }

    fn put(&self, text: &[u8]) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        fault_injection::slow_disk();
        file.as_file().sync_all()?;
        file.persist(&self.0)?;
        File::open(folder)?.sync_all()
    }

    fn file(&self, error: io::Error) -> StoreError {
        StoreError::File { path: self.0.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_at_first_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.read().unwrap(), PersistedState::default());
        let changes: Changes = serde_json::from_str(r#"{"shop": {"a": {"weight": 3}}}"#).unwrap();
        let leaving: Vec<Leaving> =
            serde_json::from_str(r#"[{"upstream": "shop", "id": "b", "address": "127.0.0.1:1", "until": 9}]"#).unwrap();
        let persisted = PersistedState { changes, leaving };
        store.write(&persisted).unwrap();
        assert_eq!(store.read().unwrap(), persisted);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_and_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        for text in ["", "{", r#"{"version": 2}"#, r#"{"version": 1, "changes": {"shop": {"a": {"weight": 900}}}}"#] {
            std::fs::write(&store.0, text).unwrap();
            assert!(store.read().is_err(), "{text}");
        }
        let aside = store.set_aside();
        assert!(aside.exists() && !store.0.exists());
    }
}
