//! Where keys and other secrets come from: files, the environment, or a key that is made at the first start and kept in the
//! state folder.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use burdock::config::Config;
use burdock::sticky::token::keys::{InvalidKey, InvalidKeyRing, Key, KeyRing};
use burdock::sticky::token::secrets::{Secret, SecretSource, Secrets};

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the environment has no variable {0} to read a key from")]
    Env(String),
    #[error("the key from {place}: {error}")]
    Invalid { place: String, error: InvalidKey },
    #[error("the secret from {0} is empty")]
    Empty(String),
    #[error("keys: {0}")]
    Ring(#[from] InvalidKeyRing),
    #[error("cannot keep a key in {}: {error}; set `keys`, or process.state_dir to a folder that can be written", .path.display())]
    Keep { path: PathBuf, error: io::Error },
}

/// All secrets of a configuration: the ring of its keys, or with none of one that is kept in the state folder, and what the
/// tokens of other proxies are keyed with.
pub fn secrets(config: &Config) -> Result<Secrets, KeyError> {
    let keys = match &*config.keys {
        [] => vec![kept(&kept_path(&config.process.state_dir))?],
        sources => sources.iter().map(key).collect::<Result<_, _>>()?,
    };
    with_ring(KeyRing::new(keys)?, config)
}

/// The same with a ring that is at hand.
pub fn with_ring(ring: KeyRing, config: &Config) -> Result<Secrets, KeyError> {
    let others = config.plan.secrets().map(|source| Ok((source.clone(), secret(source)?)));
    Ok(Secrets::new(ring.into(), others.collect::<Result<Vec<_>, KeyError>>()?))
}

/// Where a key is kept that was made here.
pub fn kept_path(state_dir: &Path) -> PathBuf {
    state_dir.join("key")
}

/// What is wrong with the configured keys and other secrets: for `check`.
pub fn unreadable(config: &Config) -> Vec<KeyError> {
    let keys: Vec<Result<Key, KeyError>> = config.keys.iter().map(key).collect();
    let others = config.plan.secrets().filter_map(|source| secret(source).err());
    let errors = if !keys.is_empty() && keys.iter().all(Result::is_ok) {
        KeyRing::new(keys.into_iter().flatten().collect()).err().map(KeyError::Ring).into_iter().collect()
    } else {
        keys.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    };
    errors.into_iter().chain(others).collect()
}

/// Writes a key to a file that must not be there yet and that only its owner can read.
pub fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.to_text())?;
    file.sync_all()
}

fn key(source: &SecretSource) -> Result<Key, KeyError> {
    let text = read(source)?;
    Key::parse(&String::from_utf8_lossy(&text)).map_err(|error| KeyError::Invalid { place: place(source), error })
}

fn secret(source: &SecretSource) -> Result<Secret, KeyError> {
    let secret = Secret::from_text(&read(source)?);
    if secret.is_empty() { Err(KeyError::Empty(place(source))) } else { Ok(secret) }
}

fn read(source: &SecretSource) -> Result<Vec<u8>, KeyError> {
    match source {
        SecretSource::File(path) => std::fs::read(path).map_err(|error| KeyError::File { path: path.clone(), error }),
        SecretSource::Env(name) => {
            std::env::var_os(name).map(OsStringExt::into_vec).ok_or_else(|| KeyError::Env(name.clone()))
        }
    }
}

fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Env(name) => format!("${name}"),
    }
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
    key(&SecretSource::File(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(secrets: &[&Path]) -> Config {
        let accept = |path: &&Path| format!("{{format: {{caddy: {{secret: {{file: {}}}}}}}}}", path.display());
        let accepted: Vec<String> = secrets.iter().map(accept).collect();
        let text = format!(
            "listeners: [\"127.0.0.1:8080\"]\nupstreams: {{shop: {{servers: [\"127.0.0.1:9000\"], \
             sticky: [{{cookie: {{accept: [{}]}}}}]}}}}",
            accepted.join(", ")
        );
        Config::parse("test.yaml", &text).unwrap()
    }

    #[test]
    fn a_secret_that_is_empty_or_cannot_be_read_is_told_by_check_and_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let [good, empty, absent] = ["good", "empty", "absent"].map(|name| folder.path().join(name));
        std::fs::write(&good, "a secret\n").unwrap();
        std::fs::write(&empty, "\n").unwrap();
        let told: Vec<String> = unreadable(&config(&[&good, &empty, &absent])).iter().map(KeyError::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("/empty is empty") && told[1].contains("/absent: "), "{told:?}");

        let ring = || KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
        assert!(with_ring(ring(), &config(&[&good])).is_ok());
        assert!(with_ring(ring(), &config(&[&good, &absent])).is_err());
    }
}
