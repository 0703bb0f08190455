//! The admin service's Unix socket as a file: made where nobody else can open it, put in its place, taken away. A process that takes
//! over from another puts its socket in the place of that one's. It knows nothing of what is served there.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tempfile::TempDir;

/// Its name where it is made.
const NAME: &str = "s";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the socket {}: {error}; set admin.socket to another path, or to none", .path.display())]
pub struct AdminSocketError {
    path: PathBuf,
    error: io::Error,
}

/// A socket that is to be put in its place, and is there until it is removed or a successor's takes that.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    /// Where it was made, until it is in its place.
    made: Mutex<Option<TempDir>>,
    /// Which file it is.
    inode: (u64, u64),
    listener: Mutex<Option<UnixListener>>,
}

impl AdminSocket {
    /// Makes it in a folder that nobody else can enter: it is put in its place when it can be opened by nobody else.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(path: &Path) -> Result<Self, AdminSocketError> {
        bind(path).map_err(|error| AdminSocketError { path: path.to_owned(), error })
    }

    /// Puts it in its place. A predecessor's is no longer there then.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn place(&self) -> Result<(), AdminSocketError> {
        // Held until it is there: of two who want that, neither comes back before.
        let mut waiting = self.made.lock();
        let Some(made) = waiting.take() else { return Ok(()) };
        let placed = std::fs::rename(made.path().join(NAME), &self.path);
        placed.map_err(|error| AdminSocketError { path: self.path.clone(), error })
    }

    /// What takes its connections; none where it has been taken already.
    pub fn take_listener(&self) -> Option<UnixListener> {
        self.listener.lock().take()
    }

    /// Takes it away, unless a successor's is in its place.
    pub fn remove(&self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn bind(path: &Path) -> io::Result<AdminSocket> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(folder)?;
    let made = private.path().join(NAME);
    let listener = UnixListener::bind(&made)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    let inode = inode(&made)?;
    Ok(AdminSocket { path: path.to_owned(), made: Mutex::new(Some(private)), inode, listener: Mutex::new(Some(listener)) })
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_can_open_it_and_a_successor_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
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
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn whoever_has_put_it_in_its_place_finds_it_there_though_another_does_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
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
    fn what_a_killed_process_has_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        AdminSocket::open(&path).unwrap().place().unwrap();
        let next = AdminSocket::open(&path).unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_err(), "it is not in its place yet");
        next.place().unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    }
}
