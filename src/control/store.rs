//! The file in the state directory with runtime overrides and leaving servers, so that both survive a restart.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burdock::balancer::overrides::{LeavingServer, Overrides};
use serde::{Deserialize, Serialize};

use crate::runtime::fault_injection;
use crate::runtime::regular_file;

/// The file.
#[derive(Debug)]
pub struct Store(PathBuf);

/// Its content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersistedState {
    pub changes: Overrides,
    pub leaving: Vec<LeavingServer>,
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Form { path: PathBuf, error: serde_json::Error },
    #[error("{} has version {version}, which this version of Burdock does not support", .path.display())]
    Version { path: PathBuf, version: u32 },
}

const VERSION: u32 = 1;

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    version: u32,
    #[serde(default)]
    changes: Overrides,
    #[serde(default)]
    leaving: Vec<LeavingServer>,
}

impl Store {
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("changes.json"))
    }

    /// Reads the file; empty if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read or parsed.
    pub fn read(&self) -> Result<PersistedState, StoreError> {
        let text = match regular_file::read(&self.0) {
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

    /// Replaces the file atomically. Returns when the new one is on disk.
    ///
    /// # Errors
    /// [`StoreError::File`]; the previous file stays.
    pub fn write(&self, state: &PersistedState) -> Result<(), StoreError> {
        let PersistedState { changes, leaving } = state.clone();
        let stored = Stored { version: VERSION, changes, leaving };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| StoreError::Form { path: self.0.clone(), error })?;
        self.put(&text).map_err(|error| self.file(error))
    }

    /// Renames an unreadable file, for its owner to inspect. Returns the new path.
    pub fn set_aside(&self) -> PathBuf {
        let aside = self.0.with_extension("json.unreadable");
        if let Err(error) = std::fs::rename(&self.0, &aside) {
            log::error!("cannot move {} to {}: {error}", self.0.display(), aside.display());
        }
        aside
    }

    fn put(&self, text: &[u8]) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text)?;
        fault_injection::slow_disk();
        file.as_file().sync_all()?;
        file.persist(&self.0)?;
        File::open(directory)?.sync_all()
    }

    fn file(&self, error: io::Error) -> StoreError {
        StoreError::File { path: self.0.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_is_empty_at_first_and_reads_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        assert_eq!(store.read().unwrap(), PersistedState::default());
        let changes: Overrides = serde_json::from_str(r#"{"shop": {"a": {"weight": 3}}}"#).unwrap();
        let leaving: Vec<LeavingServer> =
            serde_json::from_str(r#"[{"upstream": "shop", "id": "b", "address": "127.0.0.1:1", "until": 9}]"#).unwrap();
        let persisted = PersistedState { changes, leaving };
        store.write(&persisted).unwrap();
        assert_eq!(store.read().unwrap(), persisted);
    }

    #[test]
    fn invalid_file_is_an_error_and_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        for text in ["", "{", r#"{"version": 2}"#, r#"{"version": 1, "changes": {"shop": {"a": {"weight": 900}}}}"#] {
            std::fs::write(&store.0, text).unwrap();
            assert!(store.read().is_err(), "{text}");
        }
        let aside = store.set_aside();
        assert!(aside.exists() && !store.0.exists());
    }
}
