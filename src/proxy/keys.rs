//! Where keys come from: files, the environment, or one that is made at the first start and kept in the state folder.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use burdock::config::settings::KeySource;
use burdock::sticky::token::keys::{InvalidKey, InvalidKeyRing, Key, KeyRing};

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the environment has no variable {0} to read a key from")]
    Env(String),
    #[error("the key from {place}: {error}")]
    Invalid { place: String, error: InvalidKey },
    #[error("keys: {0}")]
    Ring(#[from] InvalidKeyRing),
    #[error("cannot keep a key in {}: {error}; set `keys`, or process.state_dir to a folder that can be written", .path.display())]
    Keep { path: PathBuf, error: io::Error },
}

/// The ring of the configured keys; with none, of one that is kept in the state folder.
pub fn ring(sources: &[KeySource], state_dir: &Path) -> Result<KeyRing, KeyError> {
    let keys = match sources {
        [] => vec![kept(&kept_path(state_dir))?],
        sources => sources.iter().map(read).collect::<Result<_, _>>()?,
    };
    Ok(KeyRing::new(keys)?)
}

/// Where a key is kept that was made here.
pub fn kept_path(state_dir: &Path) -> PathBuf {
    state_dir.join("key")
}

/// What is wrong with the configured keys: for `check`.
pub fn unreadable(sources: &[KeySource]) -> Vec<KeyError> {
    let keys: Vec<Result<Key, KeyError>> = sources.iter().map(read).collect();
    if !keys.is_empty() && keys.iter().all(Result::is_ok) {
        return KeyRing::new(keys.into_iter().flatten().collect()).err().map(KeyError::Ring).into_iter().collect();
    }
    keys.into_iter().filter_map(Result::err).collect()
}

/// Writes a key to a file that must not be there yet and that only its owner can read.
pub fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.to_text())?;
    file.sync_all()
}

fn read(source: &KeySource) -> Result<Key, KeyError> {
    let (text, place) = match source {
        KeySource::File(path) => (from_file(path)?, path.display().to_string()),
        KeySource::Env(name) => (std::env::var(name).map_err(|_| KeyError::Env(name.clone()))?, format!("${name}")),
    };
    Key::parse(&text).map_err(|error| KeyError::Invalid { place, error })
}

fn from_file(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|error| KeyError::File { path: path.to_owned(), error })
}

/// The key of the state folder, made at the first start.
fn kept(path: &Path) -> Result<Key, KeyError> {
    if !path.exists() {
        let key = Key::generate(&mut rand::rng());
        write_new(path, &key).map_err(|error| KeyError::Keep { path: path.to_owned(), error })?;
        log::warn!(
            "no keys are configured: made one in {}. Other balancers cannot open the tokens that it seals; \
             to share one, make it with `burdock keys new FILE` and set keys: [{{file: FILE}}]",
            path.display()
        );
    }
    read(&KeySource::File(path.to_owned()))
}
