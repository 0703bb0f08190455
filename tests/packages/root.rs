//! Small Debian root file systems of the host's release, because the binaries built here need its libraries.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools::{cache_directory, command, lock, ok};

/// A root file system, removed when dropped.
pub struct Root(TempDir);

impl Root {
    /// The smallest Debian system.
    pub fn bare() -> Self {
        Self::copy(&base())
    }

    fn copy(from: &Path) -> Self {
        let directory = TempDir::with_prefix_in("root-", cache_directory()).unwrap();
        ok(command("cp -a").arg(from.join(".")).arg(directory.path()));
        Self(directory)
    }

    pub fn path(&self, within: &str) -> PathBuf {
        self.0.path().join(within.trim_start_matches('/'))
    }

    pub fn has(&self, within: &str) -> bool {
        self.path(within).symlink_metadata().is_ok()
    }

    pub fn read(&self, within: &str) -> String {
        fs::read_to_string(self.path(within)).unwrap()
    }

    /// Runs a command in the root, with its own /proc, and returns its output.
    pub fn ok(&self, line: &[&str]) -> String {
        ok(&mut within(self.0.path(), line))
    }

    /// Every file and directory, except for the package tools' own records.
    pub fn files(&self) -> BTreeSet<String> {
        let found = ok(command(
            "find . -mindepth 1 ( -path ./proc -o -path ./var/lib/dpkg -o -path ./var/log \
                                -o -path ./var/cache -o -path ./run/adduser ) -prune -o -print",
        )
        .current_dir(self.0.path()));
        let backup = |file: &&str| file.starts_with("./etc/") && file.ends_with('-');
        found.lines().filter(|file| !backup(file)).map(str::to_owned).collect()
    }
}

fn within(root: &Path, line: &[&str]) -> Command {
    let mut command = command("unshare --mount --pid --fork --kill-child --mount-proc");
    command.arg("--root").arg(root).args(line.iter().map(OsStr::new)).current_dir("/");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C");
    command
}

/// A fresh Debian system, created once.
pub fn base() -> PathBuf {
    create_once("bare", |directory| {
        let release = fs::read_to_string("/etc/os-release").unwrap();
        let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("a Debian release");
        ok(command("debootstrap --variant=minbase").arg(name).arg(directory));
    })
}

/// The same with systemd and the packages that accompany it on a host.
pub fn with_systemd() -> PathBuf {
    with("systemd", &["systemd", "systemd-sysv", "dbus", "logrotate", "procps"])
}

/// The same with these Debian packages.
pub fn with(name: &str, packages: &[&str]) -> PathBuf {
    let base = base();
    create_once(name, |directory| {
        ok(command("cp -a").arg(&base).arg(directory));
        ok(&mut within(directory, &["apt-get", "update", "-qq"]));
        ok(within(directory, &["apt-get", "install", "-y", "-qq", "--no-install-recommends"]).args(packages));
    })
}

/// A directory that is created atomically, however many tests need it at once.
fn create_once(name: &str, create: impl FnOnce(&Path)) -> PathBuf {
    let directory = cache_directory().join(name);
    let _lock = lock(name);
    if !directory.exists() {
        let unfinished = cache_directory().join(format!("{name}.unfinished"));
        ok(command("rm -rf").arg(&unfinished));
        create(&unfinished);
        fs::rename(&unfinished, &directory).unwrap();
    }
    directory
}
