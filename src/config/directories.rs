//! Where Burdock keeps its files if the configuration does not say: in the system's directories for root and for the user that they
//! belong to, in a user's own directories (XDG Base Directory Specification) for everyone else. It reads neither the environment
//! nor the disk: what they say is an argument.

use std::path::{Path, PathBuf};

const SYSTEM_STATE: &str = "/var/lib/burdock";
const SYSTEM_RUNTIME: &str = "/run/burdock";
const NAME: &str = "burdock";

/// The directories of a process whose configuration names none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directories {
    pub state: PathBuf,
    pub runtime: PathBuf,
}

/// A directory and its owner's uid; none if there is no such directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owned {
    pub path: PathBuf,
    pub owner: Option<u32>,
}

/// The user of a process, and what its environment says.
#[derive(Clone, Debug)]
pub struct User {
    /// Effective uid.
    pub uid: u32,
    pub xdg_runtime_dir: Option<Owned>,
    pub xdg_state_home: Option<PathBuf>,
    pub home: Option<PathBuf>,
    /// The directory for temporary files.
    pub temporary: PathBuf,
}

impl Directories {
    /// Those of a system service.
    pub fn of_system() -> Self {
        Self { state: SYSTEM_STATE.into(), runtime: SYSTEM_RUNTIME.into() }
    }

    /// Those of this user. `owner` says who owns a directory of the system, which packages, images and systemd create for Burdock's
    /// user.
    pub fn of(user: &User, owner: impl Fn(&Path) -> Option<u32>) -> Self {
        let Self { state, runtime } = Self::of_system();
        let is_ours = |path: &Path| user.uid == 0 || owner(path) == Some(user.uid);
        Self {
            state: if is_ours(&state) { state } else { user.state().unwrap_or(state) },
            runtime: if is_ours(&runtime) { runtime } else { user.runtime() },
        }
    }

    /// The admin socket of a process whose configuration names none.
    pub fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.runtime)
    }
}

/// The admin socket in a runtime directory.
pub(super) fn admin_socket(runtime: &Path) -> PathBuf {
    runtime.join("admin.sock")
}

impl User {
    /// None if nothing says where it could be.
    fn state(&self) -> Option<PathBuf> {
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        let home = || absolute(&self.home).map(|home| home.join(".local/state"));
        absolute(&self.xdg_state_home).or_else(home).map(|base| base.join(NAME))
    }

    /// In XDG_RUNTIME_DIR. `su` and setpriv keep that of another user, which does not count.
    fn runtime(&self) -> PathBuf {
        let xdg = self.xdg_runtime_dir.as_ref().filter(|xdg| xdg.owner == Some(self.uid) && xdg.path.is_absolute());
        xdg.map_or_else(|| self.temporary.join(format!("{NAME}-{}", self.uid)), |xdg| xdg.path.join(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u32 = 1000;

    fn user() -> User {
        User {
            uid: US,
            xdg_runtime_dir: Some(Owned { path: "/run/user/1000".into(), owner: Some(US) }),
            xdg_state_home: Some("/home/u/state".into()),
            home: Some("/home/u".into()),
            temporary: "/tmp".into(),
        }
    }

    /// State and runtime directory where every directory of the system has this owner.
    fn of(user: &User, owner: Option<u32>) -> [String; 2] {
        let Directories { state, runtime } = Directories::of(user, |_| owner);
        [state, runtime].map(|path| path.display().to_string())
    }

    #[test]
    fn root_and_the_owner_use_the_directories_of_the_system() {
        let system = ["/var/lib/burdock", "/run/burdock"];
        for owner in [None, Some(0), Some(US)] {
            assert_eq!(of(&User { uid: 0, ..user() }, owner), system, "{owner:?}");
        }
        assert_eq!(of(&user(), Some(US)), system);
    }

    #[test]
    fn ordinary_users_have_directories_of_their_own() {
        for owner in [None, Some(0), Some(US + 1)] {
            assert_eq!(of(&user(), owner), ["/home/u/state/burdock", "/run/user/1000/burdock"], "{owner:?}");
        }
    }

    #[test]
    fn without_xdg_variables_home_and_the_temporary_directory_serve() {
        let bare = User { xdg_runtime_dir: None, xdg_state_home: None, ..user() };
        assert_eq!(of(&bare, None), ["/home/u/.local/state/burdock", "/tmp/burdock-1000"]);
        let homeless = User { home: None, ..bare };
        assert_eq!(of(&homeless, None), ["/var/lib/burdock", "/tmp/burdock-1000"]);
    }

    #[test]
    fn relative_paths_and_the_runtime_directory_of_another_user_do_not_count() {
        let relative = Owned { path: "run".into(), owner: Some(US) };
        let foreign = Owned { path: "/run/user/0".into(), owner: Some(0) };
        let missing = Owned { path: "/run/user/1000".into(), owner: None };
        for xdg in [relative, foreign, missing] {
            let user = User { xdg_runtime_dir: Some(xdg), xdg_state_home: Some("state".into()), ..user() };
            assert_eq!(of(&user, None), ["/home/u/.local/state/burdock", "/tmp/burdock-1000"]);
        }
    }
}
