//! Containers run by Debian's podman and runc, with a separate store, separate networks and a separate cache. By default they use the
//! host's network: each test has its own loopback address.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::{answer, cache_directory, command, lock, ok, output};

/// Images and their build cache; they are kept because building them takes minutes.
pub struct Store(PathBuf);

/// A running container, removed when dropped.
pub struct Container<'a> {
    store: &'a Store,
    pub id: String,
}

impl Store {
    pub fn open() -> Self {
        let _lock = lock("store");
        let directory = cache_directory().join("store");
        fs::create_dir_all(directory.join("tmp")).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        // The limits suit users who may not raise them.
        let engine = format!(
            "[containers]
default_ulimits = ['nofile=8192:8192', 'nproc=8192:8192']
[engine]
runtime = 'runc'
cgroup_manager = 'cgroupfs'
events_logger = 'file'
tmp_dir = '{}'
[network]
network_backend = 'netavark'
network_config_dir = '{}'
",
            path("tmp/libpod"),
            path("networks")
        );
        // A mount on the directory itself would outlive the tests.
        let storage = format!(
            "[storage]
driver = 'overlay'
graphroot = '{}'
runroot = '{}'
[storage.options.overlay]
skip_mount_home = 'true'
",
            path("images"),
            path("run")
        );
        fs::write(directory.join("containers.conf"), engine).unwrap();
        fs::write(directory.join("storage.conf"), storage).unwrap();
        Self(directory)
    }

    pub fn podman(&self, line: &str) -> Command {
        self.with(command(&format!("podman {line}")))
    }

    /// Lets a command that calls podman use this store.
    pub fn with(&self, mut command: Command) -> Command {
        command
            .env("CONTAINERS_CONF", self.0.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.0.join("storage.conf"))
            .env("TMPDIR", self.0.join("tmp"));
        command
    }

    /// Imports a directory as an image with this name and these Dockerfile lines, unless the image exists.
    pub fn import(&self, directory: &Path, name: &str, lines: &[&str]) {
        let _lock = lock("import");
        if output(self.podman("image exists").arg(name)).status.success() {
            return;
        }
        let mut tar = command("tar -c .").current_dir(directory).stdout(Stdio::piped()).spawn().unwrap();
        let mut import = self.podman("import --quiet");
        for line in lines {
            import.args(["--change", line]);
        }
        ok(import.args(["-", name]).stdin(tar.stdout.take().unwrap()));
        assert!(tar.wait().unwrap().success());
    }

    /// Starts a container on the host's network.
    pub fn start(&self, options: &[&str], image_and_command: &[&str]) -> Container<'_> {
        self.start_on("host", options, image_and_command)
    }

    pub fn start_on(&self, network: &str, options: &[&str], image_and_command: &[&str]) -> Container<'_> {
        let mut run = self.podman(&format!("run --detach --pull never --network {network}"));
        Container { store: self, id: answer(run.args(options).args(image_and_command)) }
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

    /// Writes a file that belongs to root and that everyone may read.
    pub fn write(&self, path: &str, contents: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), contents).unwrap();
        ok(self.store.podman("cp").arg(file.path()).arg(format!("{}:{path}", self.id)));
        self.ok(&["chmod", "644", path]);
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.store.podman("rm --force --time 0 --volumes").arg(&self.id).output();
    }
}
