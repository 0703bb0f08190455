//! Burdock of a user who is not root and owns no directory of the system. The tests run as root, who becomes `nobody`, or as such a
//! user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Burdock, Site, run, wait_until};

const NOBODY: u32 = 65534;
const SOMEBODY_ELSE: u32 = 12_345;
/// The shortest useful configuration of the README, with the addresses of a test.
const SHORTEST: &str = "
listeners: [$IP:8080]
admin: {address: $IP:9180}
process: {}
access_log: {}
upstreams:
  shop:
    servers: [$IP:9001]
    sticky: cookie
";

/// A user's home directory and temporary directory, and a copy of the program that he can reach.
struct Account {
    site: Site,
    uid: u32,
    home: PathBuf,
    temporary: PathBuf,
    program: PathBuf,
}

impl Account {
    fn new() -> Self {
        let site = Site::new();
        let us = fs::metadata(site.dir()).unwrap().uid();
        let uid = if us == 0 { NOBODY } else { us };
        fs::set_permissions(site.dir(), Permissions::from_mode(0o755)).unwrap();
        let [home, temporary, program] = ["home", "tmp", "burdock"].map(|name| site.path(name));
        for directory in [&home, &temporary] {
            fs::create_dir(directory).unwrap();
            chown(directory, Some(uid), None).unwrap();
        }
        let built = env!("CARGO_BIN_EXE_burdock");
        fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
        Self { site, uid, home, temporary, program }
    }

    fn is_root(&self) -> bool {
        fs::metadata(self.site.dir()).unwrap().uid() == 0
    }

    fn runtime_directory(&self) -> PathBuf {
        let directory = self.site.path("user");
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(self.uid), None).unwrap();
        directory
    }

    /// The program as this user, with this XDG_RUNTIME_DIR.
    fn command(&self, xdg: Option<&Path>) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOME", &self.home).env("TMPDIR", &self.temporary);
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_RUNTIME_DIR").envs(xdg.map(|path| ("XDG_RUNTIME_DIR", path)));
        if self.is_root() {
            command.uid(self.uid).gid(self.uid);
        }
        command
    }

    fn launch(&self, xdg: Option<&Path>) -> Burdock {
        Burdock::launch_by(self.command(xdg), &self.site, SHORTEST)
    }

    /// Whether `ctl` finds the running process, with its configuration and without.
    fn assert_that_ctl_finds_it(&self, burdock: &Burdock, xdg: Option<&Path>) {
        wait_until("it is ready", || burdock.readiness_status() == Some(200));
        let file = self.site.path("burdock.yaml");
        for args in [&["ctl", "status", "-c", file.to_str().unwrap()][..], &["ctl", "status"]] {
            let status = run(self.command(xdg).args(args)).ok();
            assert!(status.stdout.contains(&format!("process {}", burdock.pid())), "{args:?}: {status:?}");
        }
    }
}

#[test]
fn an_ordinary_user_runs_the_shortest_configuration() {
    let account = Account::new();
    let _server = account.site.origin(1);
    let xdg = account.runtime_directory();
    let burdock = account.launch(Some(&xdg));
    account.assert_that_ctl_finds_it(&burdock, Some(&xdg));
    assert_eq!(burdock.get("/").status, 200);
    for file in [xdg.join("burdock/admin.sock"), account.home.join(".local/state/burdock/key")] {
        assert_eq!(fs::metadata(&file).unwrap().uid(), account.uid, "{}", file.display());
    }
}

#[test]
fn without_xdg_runtime_dir_a_private_temporary_directory_serves() {
    let account = Account::new();
    let burdock = account.launch(None);
    account.assert_that_ctl_finds_it(&burdock, None);
    let directory = account.temporary.join(format!("burdock-{}", account.uid));
    assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_temporary_directory_that_somebody_else_made_is_refused() {
    let account = Account::new();
    if !account.is_root() {
        return;
    }
    let squatted = account.temporary.join(format!("burdock-{}", account.uid));
    let assert_refused = || {
        let mut burdock = account.launch(None);
        assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1));
        let refusal = format!("{} belongs to another user (uid {SOMEBODY_ELSE})", squatted.display());
        assert!(burdock.stderr().contains(&refusal), "{}", burdock.stderr());
    };
    fs::create_dir(&squatted).unwrap();
    chown(&squatted, Some(SOMEBODY_ELSE), None).unwrap();
    assert_refused();
    fs::remove_dir(&squatted).unwrap();
    // A link to a directory that is private to the user.
    fs::set_permissions(&account.home, Permissions::from_mode(0o700)).unwrap();
    symlink(&account.home, &squatted).unwrap();
    lchown(&squatted, Some(SOMEBODY_ELSE), None).unwrap();
    assert_refused();
}
