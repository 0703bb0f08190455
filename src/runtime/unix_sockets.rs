//! Unix sockets of this host, as `/proc` shows them.

use std::path::Path;

/// Whether a process listens on this socket. A test connection would show it too, but the listener accepts only one connection.
pub fn is_listened_on(socket: &Path) -> bool {
    const LISTENS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    let path = socket.to_string_lossy();
    sockets.lines().any(|line| line.split_whitespace().nth(3) == Some(LISTENS) && line.ends_with(&format!(" {path}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listening_socket_is_detected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("upgrade.sock");
        assert!(!is_listened_on(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_listened_on(&path));
        drop(listener);
        assert!(!is_listened_on(&path));
    }
}
