//! What killed processes have left beside our sockets: private directories of admin sockets, and sockets of upgrades. Everything
//! else there stays, as does what a running process uses.

use std::fs::{DirEntry, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::runtime::admin_socket;
use crate::runtime::directories::our_user;
use crate::runtime::unix_sockets::is_listened_on;

/// Removes the leftovers from the runtime directory and from the directory of the admin socket, as far as possible.
pub fn remove(runtime_dir: &Path, socket: Option<&Path>) {
    remove_from(runtime_dir, Place::Ours);
    if let Some(directory) = socket.and_then(Path::parent).filter(|directory| *directory != runtime_dir) {
        remove_from(directory, Place::Shared);
    }
}

/// Who makes files in a directory.
#[derive(Clone, Copy)]
enum Place {
    /// Burdock alone: an empty private directory is ours too.
    Ours,
    /// Perhaps others.
    Shared,
}

fn remove_from(directory: &Path, place: Place) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match remove_if_left(&entry, place) {
            Ok(Fate::Removed) => log::info!("removed {}, which a killed process had left", entry.path().display()),
            Ok(Fate::Kept) => {}
            Err(error) => log::warn!("cannot remove {}: {error}", entry.path().display()),
        }
    }
}

enum Fate {
    Removed,
    Kept,
}

fn remove_if_left(entry: &DirEntry, place: Place) -> io::Result<Fate> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return Ok(Fate::Kept) };
    if admin_socket::is_private_name(name) {
        remove_private(&entry.path(), place)
    } else if is_handover_name(name) {
        remove_handover(&entry.path())
    } else {
        Ok(Fate::Kept)
    }
}

/// Removes a directory that is ours, has nothing but a socket of ours, and belongs to no running process: that would hold its
/// lock.
fn remove_private(path: &Path, place: Place) -> io::Result<Fate> {
    let metadata = std::fs::symlink_metadata(path)?;
    let mode = metadata.mode() & 0o777;
    let is_ours = metadata.is_dir() && metadata.uid() == our_user() && mode & 0o022 == 0;
    let content = if is_ours { content(path)? } else { Content::Other };
    match (content, place) {
        (Content::Socket, _) => {}
        (Content::Nothing, Place::Ours) if mode == 0o700 => {}
        (Content::Other, _) | (Content::Nothing, Place::Ours | Place::Shared) => return Ok(Fate::Kept),
    }
    let directory = File::open(path)?;
    if directory.try_lock().is_err() {
        return Ok(Fate::Kept);
    }
    match std::fs::remove_file(path.join(admin_socket::NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::remove_dir(path)?;
    Ok(Fate::Removed)
}

/// The name of the socket where the process with this id waits for the one that it has started in an upgrade.
pub fn handover_name(process: u32) -> String {
    format!("handover-{process}.sock")
}

fn is_handover_name(name: &str) -> bool {
    let process = name.strip_prefix("handover-").and_then(|rest| rest.strip_suffix(".sock"));
    process.and_then(|process| process.parse().ok()).is_some_and(|process| handover_name(process) == name)
}

/// Removes a socket that is ours and that no process listens on.
fn remove_handover(path: &Path) -> io::Result<Fate> {
    let metadata = std::fs::symlink_metadata(path)?;
    let is_ours = metadata.file_type().is_socket() && metadata.uid() == our_user();
    if !is_ours || is_listened_on(path) {
        return Ok(Fate::Kept);
    }
    std::fs::remove_file(path)?;
    Ok(Fate::Removed)
}

enum Content {
    Nothing,
    /// A socket with the name of ours, and nothing else.
    Socket,
    Other,
}

fn content(path: &Path) -> io::Result<Content> {
    let mut content = Content::Nothing;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() != admin_socket::NAME || !entry.file_type()?.is_socket() {
            return Ok(Content::Other);
        }
        content = Content::Socket;
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs::{DirBuilder, Permissions, create_dir, write};
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::runtime::admin_socket::AdminSocket;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_a_killed_process_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let private = |name: &str| DirBuilder::new().mode(0o700).create(at(name)).unwrap();
        for name in ["._Ab1", ".Left", ".Mode", ".None", ".Full", ".longer"] {
            private(name);
        }
        for with_socket in ["._Ab1/s", ".Left/s", ".Mode/s", ".longer/s", ".Full/s"] {
            drop(UnixListener::bind(at(with_socket)).unwrap());
        }
        write(at(".Full/notes"), "of someone").unwrap();
        create_dir(at(".Open")).unwrap();
        for open in [".Open", ".Mode"] {
            std::fs::set_permissions(at(open), Permissions::from_mode(0o755)).unwrap();
        }
        write(at(".File"), "").unwrap();
        std::os::unix::fs::symlink(at(".longer"), at(".Link")).unwrap();
        drop(UnixListener::bind(at("handover-7.sock")).unwrap());
        let _upgrade = UnixListener::bind(at("handover-8.sock")).unwrap();
        write(at("handover-9.sock"), "").unwrap();
        let living = AdminSocket::open(&at("admin.sock")).unwrap();
        remove(directory.path(), None);
        let left = names(directory.path());
        let expected = [".File", ".Full", ".Link", ".Open", "._Ab1", ".longer", "handover-8.sock", "handover-9.sock"];
        assert_eq!(left.iter().filter(|name| expected.contains(&name.as_str())).count(), expected.len(), "{left:?}");
        assert_eq!(left.len(), expected.len() + 1, "{left:?}");
        living.place().unwrap();
        assert!(at("admin.sock").exists());
    }

    #[test]
    fn the_directory_of_the_admin_socket_is_searched_too() {
        let (runtime, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in [".Left", ".None"] {
            DirBuilder::new().mode(0o700).create(beside.path().join(name)).unwrap();
        }
        drop(UnixListener::bind(beside.path().join(".Left/s")).unwrap());
        remove(runtime.path(), Some(&beside.path().join("admin.sock")));
        assert_eq!(names(beside.path()), [".None"], "an empty directory may be someone else's");
    }
}
