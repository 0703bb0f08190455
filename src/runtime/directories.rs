//! The folders and sockets that a process needs before it starts: made, and found fit, or refused with the reason.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use burdock::config::Config;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("cannot make or read the folder {}: {error}; make it, or set process.{key} to another", .path.display())]
    Unusable { path: PathBuf, key: &'static str, error: io::Error },
    #[error("{} belongs to another user (uid {owner}): whoever owns process.{key} can take over our sockets and keys", .path.display())]
    Foreign { path: PathBuf, key: &'static str, owner: u32 },
    #[error("{} can be entered by others (mode {mode:03o}); run: chmod 700 {}", .path.display(), .path.display())]
    Open { path: PathBuf, mode: u32 },
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct Unbindable {
    address: String,
    error: io::Error,
}

/// The user that this process is. (`/proc/self` would be root's where the program file has capabilities.)
pub fn our_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes the folder, readable by nobody else, if it is not there, and makes sure that it is ours alone: through the runtime
/// folder a successor process receives our listening sockets.
pub fn private(path: &Path, key: &'static str) -> Result<(), Unfit> {
    let unusable = |error| Unfit::Unusable { path: path.to_owned(), key, error };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    let metadata = std::fs::metadata(path).map_err(unusable)?;
    let us = our_user();
    if metadata.uid() != us {
        return Err(Unfit::Foreign { path: path.to_owned(), key, owner: metadata.uid() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Unfit::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Where a process with this configuration listens.
pub fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> {
    config.listeners.iter().map(|listener| listener.address).chain(config.admin.address)
}

/// Opens each listening address for a moment, but for ports that are `handed` over: whose they are besides cannot be told. Pingora
/// tries a taken port for thirty seconds and then goes on without it.
pub fn unbindable(config: &Config, handed: &[SocketAddr]) -> Vec<Unbindable> {
    let is_handed = |address: &SocketAddr| handed.iter().any(|handed| handed.port() == address.port());
    let bind = |address: SocketAddr| {
        TcpListener::bind(address).err().map(|error| Unbindable { address: address.to_string(), error })
    };
    addresses(config).filter(|address| !is_handed(address)).filter_map(bind).collect()
}

/// Where the process id is written, for whoever sends signals.
pub fn pid_file(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("burdock.pid")
}

/// Writes our process id.
pub fn write_pid(runtime_dir: &Path) -> io::Result<()> {
    use io::Write;
    let mut file = File::create(pid_file(runtime_dir))?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    writeln!(file, "{}", std::process::id())
}
