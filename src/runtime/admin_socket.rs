//! The file of the admin service's Unix socket: created privately, moved to its path, and removed at the end. In an upgrade the new
//! process's socket replaces the old one's. It knows nothing of the service.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tempfile::TempDir;

/// The socket's name in its private directory.
pub const NAME: &str = "s";
/// Random characters in the name of a private directory, after a dot.
const RANDOM_LENGTH: usize = 4;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the socket {}: {error}; set admin.socket to another path, or to none", .path.display())]
pub struct AdminSocketError {
    path: PathBuf,
    error: io::Error,
}

/// A directory that only its owner can enter. The lock shows the next processes that it is in use.
#[derive(Debug)]
struct PrivateDirectory {
    directory: TempDir,
    _lock: File,
}

/// A socket, which [`AdminSocket::place`] moves to its path.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    /// The private directory of the socket, until it is placed.
    private: Mutex<Option<PrivateDirectory>>,
    /// Identifies the file.
    inode: (u64, u64),
    listener: Mutex<Option<UnixListener>>,
}

impl AdminSocket {
    /// Creates the socket in a private directory, so that its permissions are set before others can reach it.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn open(path: &Path) -> Result<Self, AdminSocketError> {
        bind(path).map_err(|error| AdminSocketError { path: path.to_owned(), error })
    }

    /// Moves the socket to its path, where it replaces an earlier process's socket.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn place(&self) -> Result<(), AdminSocketError> {
        // Held during the move: of two callers, neither may return before it is done.
        let mut guard = self.private.lock();
        let Some(private) = guard.take() else { return Ok(()) };
        let placed = std::fs::rename(private.directory.path().join(NAME), &self.path);
        placed.map_err(|error| AdminSocketError { path: self.path.clone(), error })
    }

    /// Keeps a second name of the socket, by which [`Self::place`] puts it back if the next process replaces it and then fails.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn keep(&self) -> Result<(), AdminSocketError> {
        let error = |error| AdminSocketError { path: self.path.clone(), error };
        let private = private_directory(&self.path).map_err(error)?;
        std::fs::hard_link(&self.path, private.directory.path().join(NAME)).map_err(error)?;
        *self.private.lock() = Some(private);
        Ok(())
    }

    /// Gives up the second name.
    pub fn leave(&self) {
        *self.private.lock() = None;
    }

    /// Takes the listener; none if it was taken already.
    pub fn take_listener(&self) -> Option<UnixListener> {
        self.listener.lock().take()
    }

    /// Removes the socket, unless the next process has replaced it.
    pub fn remove(&self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn bind(path: &Path) -> io::Result<AdminSocket> {
    let private = private_directory(path)?;
    let socket = private.directory.path().join(NAME);
    let listener = UnixListener::bind(&socket)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    let (inode, listener) = (inode(&socket)?, Mutex::new(Some(listener)));
    Ok(AdminSocket { path: path.to_owned(), private: Mutex::new(Some(private)), inode, listener })
}

fn private_directory(path: &Path) -> io::Result<PrivateDirectory> {
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let directory = tempfile::Builder::new()
        .prefix(".")
        .rand_bytes(RANDOM_LENGTH)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let lock = File::open(directory.path())?;
    // Where nothing can be locked, nothing is removed either.
    let _ = lock.try_lock();
    Ok(PrivateDirectory { directory, _lock: lock })
}

/// Whether a private directory can have this name.
pub fn is_private_name(name: &str) -> bool {
    let random = name.strip_prefix('.');
    random.is_some_and(|random| random.len() == RANDOM_LENGTH && random.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_can_open_it_and_the_next_process_replaces_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let placed = || {
            let socket = AdminSocket::open(&path).unwrap();
            socket.place().unwrap();
            socket
        };
        let first = placed();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = placed();
        first.remove();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        second.remove();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_kept_socket_is_put_back_after_the_next_process_failed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let first = AdminSocket::open(&path).unwrap();
        first.place().unwrap();
        first.keep().unwrap();
        drop(AdminSocket::open(&path).unwrap().place());
        assert!(!inode(&path).is_ok_and(|inode| inode == first.inode));
        first.place().unwrap();
        assert!(inode(&path).is_ok_and(|inode| inode == first.inode));
        first.keep().unwrap();
        first.leave();
        first.remove();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn concurrent_place_calls_return_after_the_move() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let both = std::sync::Barrier::new(2);
        let found = |socket: &AdminSocket| {
            both.wait();
            socket.place().unwrap();
            inode(&path).is_ok_and(|inode| inode == socket.inode)
        };
        for _ in 0..2_000 {
            let socket = AdminSocket::open(&path).unwrap();
            let seen = std::thread::scope(|scope| {
                let other = scope.spawn(|| found(&socket));
                [found(&socket), other.join().unwrap()]
            });
            assert_eq!(seen, [true; 2]);
        }
    }

    #[test]
    fn socket_of_a_killed_process_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        AdminSocket::open(&path).unwrap().place().unwrap();
        let next = AdminSocket::open(&path).unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_err(), "it is not placed yet");
        next.place().unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    }
}
