//! The directories and addresses that a process needs before it starts: created and checked.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burdock::config::Config;
use burdock::config::directories::{Directories, Owned, User};

use crate::runtime::regular_file;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("cannot create or read the directory {}: {error}; create it, or set process.{key} to another", .path.display())]
    Unusable { path: PathBuf, key: &'static str, error: io::Error },
    #[error("{} belongs to another user (uid {owner}), and the owner of process.{key} could take over our sockets and keys", .path.display())]
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

/// The user of this process. (`/proc/self` belongs to root if the program file has capabilities.)
pub fn our_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The directories of this process unless its configuration names others. Decided once: a reload must not move them, for example because
/// XDG_RUNTIME_DIR went with its user's last login.
pub fn defaults() -> &'static Directories {
    static DEFAULTS: OnceLock<Directories> = OnceLock::new();
    DEFAULTS.get_or_init(of_this_process)
}

fn of_this_process() -> Directories {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let owner = |path: &Path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir).map(|found| found.uid());
    let user = User {
        uid: our_user(),
        xdg_runtime_dir: variable("XDG_RUNTIME_DIR").map(|path| Owned { owner: owner(&path), path }),
        xdg_state_home: variable("XDG_STATE_HOME"),
        home: variable("HOME"),
        temporary: std::env::temp_dir(),
    };
    Directories::of(&user, owner)
}

/// Creates the directory if it is missing, and checks that it is private: through the runtime directory the next process receives
/// our listening sockets. A symbolic link of another user counts as his directory, wherever it leads: anyone can create one in the
/// directory for temporary files.
pub fn private(path: &Path, key: &'static str) -> Result<(), Unfit> {
    let unusable = |error| Unfit::Unusable { path: path.to_owned(), key, error };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    let link = std::fs::symlink_metadata(path).map_err(unusable)?;
    let metadata = std::fs::metadata(path).map_err(unusable)?;
    let us = our_user();
    let foreign_link = link.is_symlink() && link.uid() != 0 && link.uid() != us;
    if foreign_link || metadata.uid() != us {
        let owner = if foreign_link { link.uid() } else { metadata.uid() };
        return Err(Unfit::Foreign { path: path.to_owned(), key, owner });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Unfit::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

/// The listening addresses of a configuration.
pub fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> {
    config.listeners.iter().map(|listener| listener.address).chain(config.admin.address)
}

/// Binds each listening address for a moment, except for ports that are `handed` over, which cannot be tested. Pingora
/// retries an address in use for thirty seconds and then continues without it.
pub fn unbindable(config: &Config, handed: &[SocketAddr]) -> Vec<Unbindable> {
    let is_handed = |address: &SocketAddr| handed.iter().any(|handed| handed.port() == address.port());
    let bind = |address: SocketAddr| {
        TcpListener::bind(address).err().map(|error| Unbindable { address: address.to_string(), error })
    };
    addresses(config).filter(|address| !is_handed(address)).filter_map(bind).collect()
}

/// The file with the process id.
pub fn pid_file(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("burdock.pid")
}

/// Writes our process id.
pub fn write_pid(runtime_dir: &Path) -> io::Result<()> {
    use io::Write;
    let mut file = regular_file::open(File::options().write(true).create(true).truncate(true), &pid_file(runtime_dir))?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    writeln!(file, "{}", std::process::id())
}
