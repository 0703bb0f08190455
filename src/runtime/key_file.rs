//! Reads files with keys and other secrets. A user who can write to one can forge every token.

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::runtime::directories::our_user;
use crate::runtime::regular_file;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot read the key file {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{} can be written by others (mode {mode:03o}), who could forge tokens; run: chmod 600 {}", .path.display(), .path.display())]
    Writable { path: PathBuf, mode: u32 },
    #[error("{} belongs to another user (uid {owner}), who could change the key; give it to root or to uid {}", .path.display(), our_user())]
    Foreign { path: PathBuf, owner: u32 },
}

/// Reads a file that only its owner can write to.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable { path: path.to_owned(), error };
    let mut file = regular_file::open(std::fs::File::options().read(true), path).map_err(unreadable)?;
    let mode = mode(&file.metadata().map_err(unreadable)?);
    if mode & 0o022 != 0 {
        return Err(KeyFileError::Writable { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::default();
    file.read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Checks that a file is ours or root's. Only the process that serves asks: the user who runs `burdock check` may be another.
pub fn check_owner(path: &Path) -> Result<(), KeyFileError> {
    let metadata = std::fs::metadata(path);
    let owner = metadata.map_err(|error| KeyFileError::Unreadable { path: path.to_owned(), error })?.uid();
    if owner == 0 || owner == our_user() { Ok(()) } else { Err(KeyFileError::Foreign { path: path.to_owned(), owner }) }
}

/// A warning if others can read the file. As for the API's token, a group may read what belongs to root.
pub fn warning(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let others = if metadata.uid() == 0 && our_user() != 0 { 0o007 } else { 0o077 };
    let mode = mode(&metadata);
    let path = path.display();
    (mode & others != 0).then(|| format!("{path} can be read by others (mode {mode:03o}); run: chmod 600 {path}"))
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o777
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "key").unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        for mode in [0o400, 0o600, 0o640, 0o644, 0o755] {
            assert_eq!(**read(file(mode).path()).unwrap(), *b"key", "{mode:o}");
        }
        for mode in [0o602, 0o620, 0o660, 0o666, 0o777] {
            let error = read(file(mode).path()).unwrap_err().to_string();
            assert!(error.contains("can be written by others") && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let file = file(0o600);
        assert!(check_owner(file.path()).is_ok());
        if std::os::unix::fs::chown(file.path(), Some(12_345), None).is_err() {
            println!("SKIPPED: only root can give a file away");
            return;
        }
        let error = check_owner(file.path()).unwrap_err().to_string();
        assert!(error.contains("belongs to another user (uid 12345)"), "{error}");
    }

    #[test]
    fn a_file_that_others_can_read_is_worth_a_warning() {
        assert_eq!([0o400, 0o600].map(|mode| warning(file(mode).path())), [None, None]);
        for mode in [0o604, 0o640, 0o644] {
            assert!(warning(file(mode).path()).unwrap().contains("can be read by others"), "{mode:o}");
        }
    }
}
