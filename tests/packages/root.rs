//! Small Debian systems of the release that this one is, in folders: as the programs that are built here need their libraries.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools::{command, kept, lock, ok};

/// One of them, gone with the test.
pub struct Root(TempDir);

impl Root {
    /// As small as Debian gets.
    pub fn bare() -> Self {
        Self::copy(&base())
    }

    fn copy(from: &Path) -> Self {
        let folder = TempDir::with_prefix_in("root-", kept()).unwrap();
        ok(command("cp -a").arg(from.join(".")).arg(folder.path()));
        Self(folder)
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

    /// Runs a command in it, with a /proc of its own, and gives what it has said.
    pub fn ok(&self, line: &[&str]) -> String {
        ok(&mut within(self.0.path(), line))
    }

    /// Every file and folder, but for what package tools keep of their own work.
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

/// Debian as it is when new; made once.
pub fn base() -> PathBuf {
    made("bare", |folder| {
        let release = fs::read_to_string("/etc/os-release").unwrap();
        let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("a Debian release");
        ok(command("debootstrap --variant=minbase").arg(name).arg(folder));
    })
}

/// The same with systemd, and what goes with it on a host.
pub fn with_systemd() -> PathBuf {
    with("systemd", &["systemd", "systemd-sysv", "dbus", "logrotate", "procps"])
}

/// The same with these packages of Debian's.
pub fn with(name: &str, packages: &[&str]) -> PathBuf {
    let base = base();
    made(name, |folder| {
        ok(command("cp -a").arg(&base).arg(folder));
        ok(&mut within(folder, &["apt-get", "update", "-qq"]));
        ok(within(folder, &["apt-get", "install", "-y", "-qq", "--no-install-recommends"]).args(packages));
    })
}

/// A folder that is there whole or not at all, however many tests want it at once.
fn made(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = kept().join(name);
    let _alone = lock(name);
    if !folder.exists() {
        let unfinished = kept().join(format!("{name}.unfinished"));
        ok(command("rm -rf").arg(&unfinished));
        make(&unfinished);
        fs::rename(&unfinished, &folder).unwrap();
    }
    folder
}
