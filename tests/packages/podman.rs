//! Containers by Debian's podman and runc, with a store of the test's own. They use the host's network: each test has a loopback
//! address of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::tools::{command, kept, ok};

/// Images and containers, gone with the test.
pub struct Store(TempDir);

/// A container that runs.
pub struct Container<'a> {
    store: &'a Store,
    id: String,
}

impl Store {
    pub fn new() -> Self {
        Self(TempDir::with_prefix_in("podman-", kept()).unwrap())
    }

    pub fn podman(&self, line: &str) -> Command {
        let mut command = command("podman --runtime runc --cgroup-manager cgroupfs");
        command.arg("--root").arg(self.0.path().join("store")).arg("--runroot").arg(self.0.path().join("run"));
        command.args(line.split_whitespace());
        command
    }

    /// A folder as an image of this name.
    pub fn import(&self, folder: &Path, name: &str) {
        let mut tar = command("tar -c .").current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        ok(self.podman("import --quiet -").arg(name).stdin(tar.stdout.take().unwrap()));
        assert!(tar.wait().unwrap().success());
    }

    /// Not `Drop`'s: a container that does not start is to be seen.
    pub fn start(&self, options: &str, image_and_command: &[&str]) -> Container<'_> {
        let limits = "--network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
        let id = ok(self.podman(&format!("run --detach {limits} {options}")).args(image_and_command));
        Container { store: self, id: id.lines().last().unwrap().trim().to_owned() }
    }
}

impl Container<'_> {
    pub fn exec(&self, line: &[&str]) -> Command {
        let mut command = self.store.podman("exec");
        command.arg(&self.id).args(line);
        command
    }

    pub fn ok(&self, line: &[&str]) -> String {
        ok(&mut self.exec(line))
    }

    /// A file of root's that all may read.
    pub fn write(&self, path: &str, contents: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        ok(self.store.podman("cp").arg(file.path()).arg(format!("{}:{path}", self.id)));
        self.ok(&["chmod", "644", path]);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.podman("rm --all --force --time 0").output();
        let _ = self.podman("rmi --all --force").output();
        // The overlay driver mounts its folder on itself.
        let _ = command("umount --lazy").arg(self.0.path().join("store/overlay")).output();
    }
}
