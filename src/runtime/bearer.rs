//! What opens the API at the admin address: a token from a file that nobody else can read, compared in constant time.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use burdock::config::values;

use crate::runtime::directories;

/// Characters of a token: less can be guessed.
const SHORTEST: usize = 32;
/// Octets of a token's file.
const LARGEST_FILE: u64 = 4096;

/// Why there is no token to compare with.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read admin.token_file {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} belongs to another user (uid {owner}), who could give out tokens for this process", .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", .path.display(), .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error(
        "{} holds no token: one is {SHORTEST} or more visible characters, as `burdock keys new FILE` makes them",
        .path.display()
    )]
    Unfit { path: PathBuf },
}

/// How the API is opened at the admin address.
#[derive(Debug)]
pub struct Bearer {
    address: Option<SocketAddr>,
    token: ArcSwapOption<Token>,
}

/// What callers must bring. It never shows itself.
pub struct Token(Box<[u8]>);

/// What a token that was brought is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Right,
    Wrong,
    /// There is no token to compare with: the API is not served here.
    Off,
}

impl Bearer {
    /// # Errors
    /// If a token is configured and cannot be used.
    pub fn open(admin: &values::Admin) -> Result<Self, TokenError> {
        Ok(Self { address: admin.address, token: ArcSwapOption::new(Self::read(admin)?) })
    }

    /// Reads the token, for [`Self::renew`].
    ///
    /// # Errors
    /// If one is configured and cannot be used.
    pub fn read(admin: &values::Admin) -> Result<Option<Arc<Token>>, TokenError> {
        admin.token_file.as_deref().map(read).transpose().map(|token| token.map(Arc::new))
    }

    /// From now on this is the token.
    pub fn renew(&self, token: Option<Arc<Token>>) {
        self.token.store(token);
    }

    /// Where TCP connections come to, as configured.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What is brought is compared in constant time, but for its length.
    pub fn verify(&self, brought: Option<&[u8]>) -> Verdict {
        match (&*self.token.load(), brought) {
            (None, _) => Verdict::Off,
            (Some(token), Some(brought)) if verify_slices_are_equal(&token.0, brought).is_ok() => Verdict::Right,
            (Some(_), _) => Verdict::Wrong,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

fn read(path: &Path) -> Result<Token, TokenError> {
    let unreadable = |error| TokenError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    private(path, &file)?;
    let mut text = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut text).map_err(unreadable)?;
    let token = text.trim_ascii();
    let fit = token.len() >= SHORTEST && token.iter().all(u8::is_ascii_graphic);
    if fit { Ok(Token(token.into())) } else { Err(TokenError::Unfit { path: path.to_owned() }) }
}

/// It is ours alone, or root's who lets our group read it, as containers are given their secrets.
fn private(path: &Path, file: &File) -> Result<(), TokenError> {
    let unreadable = |error| TokenError::Unreadable { path: path.to_owned(), error };
    let (metadata, us) = (file.metadata().map_err(unreadable)?, directories::our_user());
    let others = match metadata.uid() {
        owner if owner == us => 0o077,
        0 => 0o037,
        owner => return Err(TokenError::Foreign { path: path.to_owned(), owner }),
    };
    let mode = metadata.mode() & 0o777;
    if mode & others == 0 { Ok(()) } else { Err(TokenError::Open { path: path.to_owned(), mode }) }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn configured(text: &str, mode: u32) -> (tempfile::TempDir, values::Admin) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, values::Admin { token_file: Some(path), ..values::Admin::default() })
    }

    #[test]
    fn the_token_and_nothing_else_is_right() {
        let (_folder, admin) = configured(&format!("{TOKEN}\n"), 0o600);
        let bearer = Bearer::open(&admin).unwrap();
        assert_eq!(bearer.verify(Some(TOKEN.as_bytes())), Verdict::Right);
        for wrong in [None, Some(""), Some("0123456789abcdef0123456789abcdeF"), Some(&TOKEN[1..])] {
            assert_eq!(bearer.verify(wrong.map(str::as_bytes)), Verdict::Wrong, "{wrong:?}");
        }
        assert!(!format!("{bearer:?}").contains(TOKEN));
    }

    #[test]
    fn without_a_token_nothing_is_right() {
        let bearer = Bearer::open(&values::Admin::default()).unwrap();
        assert_eq!(bearer.verify(Some(b"")), Verdict::Off);
        assert_eq!(bearer.verify(None), Verdict::Off);
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_refused() {
        for (text, mode) in
            [(TOKEN, 0o644), (TOKEN, 0o640), ("short", 0o600), ("", 0o600), ("with a space in the middle of it", 0o600)]
        {
            let (_folder, admin) = configured(text, mode);
            assert!(Bearer::open(&admin).is_err(), "{text:?} {mode:o}");
        }
    }

    #[test]
    fn a_token_may_become_another_or_none() {
        let (_folder, admin) = configured(TOKEN, 0o600);
        let bearer = Bearer::open(&admin).unwrap();
        let other = TOKEN.to_ascii_uppercase();
        let (_other, renewed) = configured(&other, 0o600);
        bearer.renew(Bearer::read(&renewed).unwrap());
        assert_eq!(bearer.verify(Some(TOKEN.as_bytes())), Verdict::Wrong);
        assert_eq!(bearer.verify(Some(other.as_bytes())), Verdict::Right);
        bearer.renew(Bearer::read(&values::Admin::default()).unwrap());
        assert_eq!(bearer.verify(Some(other.as_bytes())), Verdict::Off);
    }
}
