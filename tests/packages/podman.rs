//! Containers by Debian's podman and runc, with a store, networks and a cache of the tests' own. Those that do not say otherwise use
//! the host's network: each test has a loopback address of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::{answer, command, kept, lock, ok, output};

/// Images and what was compiled for them; kept, since they take minutes to make.
pub struct Store(PathBuf);

/// A container that runs, gone with its test.
pub struct Container<'a> {
    store: &'a Store,
    pub id: String,
}

impl Store {
    pub fn open() -> Self {
        let _alone = lock("store");
        let folder = kept().join("store");
        fs::create_dir_all(folder.join("tmp")).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        // The limits: of those who start a container without a right to raise them.
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
        // A mount on the folder itself would outlive the tests.
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
        fs::write(folder.join("containers.conf"), engine).unwrap();
        fs::write(folder.join("storage.conf"), storage).unwrap();
        Self(folder)
    }

    pub fn podman(&self, line: &str) -> Command {
        self.with(command(&format!("podman {line}")))
    }

    /// A command that uses podman.
    pub fn with(&self, mut command: Command) -> Command {
        command
            .env("CONTAINERS_CONF", self.0.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.0.join("storage.conf"))
            .env("TMPDIR", self.0.join("tmp"));
        command
    }

    /// A folder as an image of this name, with lines as in a Dockerfile, unless there is one.
    pub fn import(&self, folder: &Path, name: &str, lines: &[&str]) {
        let _alone = lock("import");
        if output(self.podman("image exists").arg(name)).status.success() {
            return;
        }
        let mut tar = command("tar -c .").current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut import = self.podman("import --quiet");
        for line in lines {
            import.args(["--change", line]);
        }
        ok(import.args(["-", name]).stdin(tar.stdout.take().unwrap()));
        assert!(tar.wait().unwrap().success());
    }

    /// On the host's network.
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

    /// A file of root's that all may read.
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
