//! Reads keys and other secrets: from files, from the environment, or from a key generated at the first start and saved in the
//! state directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burdock::config::Config;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::named_secret::{NamedSecret, SecretSource};
use burdock::session::secret::InvalidKey;
use burdock::sticky::secrets::Secrets;
use burdock::token::keys::{InvalidKeyRing, Key, KeyRing};
use zeroize::Zeroizing;

use crate::runtime::key_file;
use crate::runtime::key_file::KeyFileError;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("environment variable {0} for a key is not set")]
    Env(String),
    #[error("the key from {place}: {error}")]
    Invalid { place: String, error: InvalidKey },
    #[error("the secret from {0} is empty")]
    Empty(String),
    #[error("keys: {0}")]
    Ring(#[from] InvalidKeyRing),
    #[error("cannot save a key in {}: {error}; set `keys`, or set process.state_dir to a writable directory", .path.display())]
    Keep { path: PathBuf, error: io::Error },
}

/// All secrets of a configuration: its keys, or the key in the state directory if it has none (if nothing is sealed, a random
/// one); the fingerprint key; and the secrets
/// of other proxies' tokens. Files that others could change are refused.
pub fn secrets(config: &Config) -> Result<Secrets, KeyError> {
    files(config).try_for_each(key_file::check_owner)?;
    with_fingerprints(fingerprint_key(config)?, config)
}

/// The configured files with keys and other secrets.
fn files(config: &Config) -> impl Iterator<Item = &Path> {
    let sources = config.keys.iter().chain(&config.fingerprint_key).chain(config.plan.secrets());
    sources.filter_map(|source| match source {
        SecretSource::File(path) => Some(&**path),
        SecretSource::Env(_) => None,
    })
}

/// What is allowed but not wise: files that others can read.
pub fn warnings(config: &Config) -> Vec<String> {
    files(config).filter_map(key_file::warning).collect()
}

/// As [`secrets`], with this fingerprint key.
pub fn with_fingerprints(fingerprints: FingerprintKey, config: &Config) -> Result<Secrets, KeyError> {
    let keys = match &*config.keys {
        // Nothing is sealed: the key is never used.
        [] if !seals(config) => vec![Key::generate(&mut rand::rng())],
        [] => vec![kept(&kept_path(&config.process.state_dir))?],
        sources => sources.iter().map(key).collect::<Result<_, _>>()?,
    };
    with_keys(KeyRing::new(keys)?, fingerprints, config)
}

/// The secrets of a new configuration, which replaces the one with the secrets `before`. If the new configuration has no learned
/// sessions, the fingerprint key stays, as it decides where names are on the ring; if it seals nothing, the keys stay.
pub fn reload(config: &Config, before: &Secrets) -> Result<Secrets, KeyError> {
    let mut next = secrets(config)?;
    if config.plan.tables.is_empty() && config.fingerprint_key.is_none() {
        next.fingerprints = Arc::clone(&before.fingerprints);
    }
    if config.keys.is_empty() && !seals(config) {
        next.ring = Arc::clone(&before.ring);
    }
    Ok(next)
}

/// As [`secrets`], with the given keys.
pub fn with_keys(ring: KeyRing, fingerprints: FingerprintKey, config: &Config) -> Result<Secrets, KeyError> {
    let others = config.plan.secrets().map(|source| Ok((source.clone(), secret(source)?)));
    Ok(Secrets::new(ring, fingerprints, others.collect::<Result<Vec<_>, KeyError>>()?))
}

/// The key that fingerprints session names. Without learned sessions, a random one that ends with the process.
fn fingerprint_key(config: &Config) -> Result<FingerprintKey, KeyError> {
    if config.plan.tables.is_empty() && config.fingerprint_key.is_none() {
        return Ok(FingerprintKey::generate(&mut rand::rng()));
    }
    fingerprint(config.fingerprint_key.as_ref(), &config.process.state_dir)
}

/// Whether any entry makes or reads sealed tokens.
pub fn seals(config: &Config) -> bool {
    let mut entries = config.plan.upstreams.iter().flat_map(|upstream| &upstream.sticky.entries);
    entries.any(|entry| entry.method.seals())
}

/// The fingerprint key that a running process would use. None if it would generate one first.
pub fn existing_fingerprint_key(config: &Config) -> Result<Option<FingerprintKey>, KeyError> {
    let state_dir = &config.process.state_dir;
    let exists = config.fingerprint_key.is_some() || kept_fingerprint_path(state_dir).exists();
    exists.then(|| fingerprint(config.fingerprint_key.as_ref(), state_dir)).transpose()
}

fn kept_fingerprint_path(state_dir: &Path) -> PathBuf {
    state_dir.join("fingerprint-key")
}

/// The file of the generated key.
pub fn kept_path(state_dir: &Path) -> PathBuf {
    state_dir.join("key")
}

/// The configured fingerprint key, or one that is generated at the first start and saved in the state directory.
fn fingerprint(source: Option<&SecretSource>, state_dir: &Path) -> Result<FingerprintKey, KeyError> {
    let kept = SecretSource::File(kept_fingerprint_path(state_dir));
    if let (None, SecretSource::File(path)) = (source, &kept)
        && !path.exists()
    {
        keep(path, &FingerprintKey::generate(&mut rand::rng()).to_text())?;
        log::info!(
            "generated the fingerprint key {}. Other balancers place names differently; \
             to share a key, create one with `burdock keys new FILE` and set fingerprint_key",
            path.display()
        );
    }
    let source = source.unwrap_or(&kept);
    let text = read(source)?;
    FingerprintKey::parse(&String::from_utf8_lossy(&text)).map_err(|error| KeyError::Invalid { place: place(source), error })
}

/// All errors of the configured keys and other secrets, for `check`.
pub fn unreadable(config: &Config) -> Vec<KeyError> {
    let keys: Vec<Result<Key, KeyError>> = config.keys.iter().map(key).collect();
    let fingerprints = config.fingerprint_key.iter().filter_map(|source| fingerprint(Some(source), Path::new("")).err());
    let others = config.plan.secrets().filter_map(|source| secret(source).err()).chain(fingerprints);
    let errors = if !keys.is_empty() && keys.iter().all(Result::is_ok) {
        KeyRing::new(keys.into_iter().flatten().collect()).err().map(KeyError::Ring).into_iter().collect()
    } else {
        keys.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    };
    errors.into_iter().chain(others).collect()
}

/// Writes a key to a new file that only its owner can read. The file must not exist.
pub fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    write_text(path, &key.to_text())
}

/// Writes the file completely before it gets its name: a killed process leaves no partial key.
fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or_else(|| Path::new("."));
    // Its own error names the temporary file, which nobody has heard of.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|error| {
        let kind = error.kind();
        io::Error::new(kind, format!("cannot write to the directory {}: {kind}", directory.display()))
    })?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(directory)?.sync_all()
}

fn keep(path: &Path, text: &str) -> Result<(), KeyError> {
    write_text(path, text).map_err(|error| KeyError::Keep { path: path.to_owned(), error })
}

fn key(source: &SecretSource) -> Result<Key, KeyError> {
    let text = read(source)?;
    Key::parse(&String::from_utf8_lossy(&text)).map_err(|error| KeyError::Invalid { place: place(source), error })
}

fn secret(source: &SecretSource) -> Result<NamedSecret, KeyError> {
    let secret = NamedSecret::from_text(&read(source)?);
    if secret.is_empty() { Err(KeyError::Empty(place(source))) } else { Ok(secret) }
}

fn read(source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match source {
        SecretSource::File(path) => Ok(key_file::read(path)?),
        SecretSource::Env(name) => {
            let text = std::env::var_os(name).map(OsStringExt::into_vec);
            text.map(Zeroizing::new).ok_or_else(|| KeyError::Env(name.clone()))
        }
    }
}

/// Where a secret is found, for messages.
pub fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Env(name) => format!("${name}"),
    }
}

/// The key in the state directory, generated at the first start.
fn kept(path: &Path) -> Result<Key, KeyError> {
    if !path.exists() {
        let key = Key::generate(&mut rand::rng());
        keep(path, &key.to_text())?;
        log::warn!(
            "no keys are configured: generated {}. Other balancers cannot open its tokens; \
             to share a key, create one with `burdock keys new FILE` and set keys: [{{file: FILE}}]",
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
    fn check_and_start_report_empty_or_unreadable_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let [good, empty, absent] = ["good", "empty", "absent"].map(|name| directory.path().join(name));
        std::fs::write(&good, "a secret\n").unwrap();
        std::fs::write(&empty, "\n").unwrap();
        let errors: Vec<String> = unreadable(&config(&[&good, &empty, &absent])).iter().map(KeyError::to_string).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("/empty is empty") && errors[1].contains("/absent: "), "{errors:?}");

        let ring = || KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
        assert!(with_keys(ring(), FingerprintKey::generate(&mut rand::rng()), &config(&[&good])).is_ok());
        assert!(with_keys(ring(), FingerprintKey::generate(&mut rand::rng()), &config(&[&good, &absent])).is_err());
    }

    #[test]
    fn fingerprint_key_is_generated_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let first = fingerprint(None, directory.path()).unwrap();
        assert_eq!(fingerprint(None, directory.path()).unwrap().id(), first.id());
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let other = directory.path().join("other");
        write_new(&other, &Key::generate(&mut rand::rng())).unwrap();
        assert_eq!(write_new(&other, &Key::generate(&mut rand::rng())).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let configured = fingerprint(Some(&SecretSource::File(other)), directory.path()).unwrap();
        assert_ne!(configured.id(), first.id());
    }
}
