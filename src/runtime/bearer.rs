//! The token of the API at the admin address: read from a private file, compared in constant time.

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
use crate::runtime::regular_file;

/// Shortest token, in characters: a shorter one could be guessed.
const MIN_LENGTH: usize = 32;
/// Largest token file, in bytes.
const MAX_FILE: u64 = 4096;

/// Why the token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read admin.token_file {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} belongs to another user (uid {owner}), who could change the token", .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", .path.display(), .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error(
        "{} has no valid token: expected {MIN_LENGTH} or more visible characters, as from `burdock keys new FILE`",
        .path.display()
    )]
    Invalid { path: PathBuf },
}

/// Access to the API at the admin address.
#[derive(Debug)]
pub struct Bearer {
    address: Option<SocketAddr>,
    token: ArcSwapOption<Token>,
}

/// The token that callers must send. Its Debug output hides it.
pub struct Token(Box<[u8]>);

/// The result of a token check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Right,
    Wrong,
    /// No token is configured: the API is disabled here.
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

    /// Replaces the token.
    pub fn renew(&self, token: Option<Arc<Token>>) {
        self.token.store(token);
    }

    /// Whether [`Self::renew`] with `token` would change it.
    pub fn differs_from(&self, token: Option<&Token>) -> bool {
        let current = self.token.load();
        let same = match (current.as_deref(), token) {
            (Some(current), Some(token)) => verify_slices_are_equal(&current.0, &token.0).is_ok(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        !same
    }

    /// The configured admin address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Checks a token, in constant time for tokens of equal length.
    pub fn verify(&self, sent: Option<&[u8]>) -> Verdict {
        match (&*self.token.load(), sent) {
            (None, _) => Verdict::Off,
            (Some(token), Some(sent)) if verify_slices_are_equal(&token.0, sent).is_ok() => Verdict::Right,
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
    let file = regular_file::open(File::options().read(true), path).map_err(unreadable)?;
    check_private(path, &file)?;
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).map_err(unreadable)?;
    let token = text.trim_ascii();
    let is_valid = token.len() >= MIN_LENGTH && token.iter().all(u8::is_ascii_graphic);
    if is_valid { Ok(Token(token.into())) } else { Err(TokenError::Invalid { path: path.to_owned() }) }
}

/// The file must be ours alone, or root's and readable by our group, as containers get their secrets.
fn check_private(path: &Path, file: &File) -> Result<(), TokenError> {
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
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, values::Admin { token_file: Some(path), ..values::Admin::default() })
    }

    #[test]
    fn only_the_token_is_accepted() {
        let (_directory, admin) = configured(&format!("{TOKEN}\n"), 0o600);
        let bearer = Bearer::open(&admin).unwrap();
        assert_eq!(bearer.verify(Some(TOKEN.as_bytes())), Verdict::Right);
        for wrong in [None, Some(""), Some("0123456789abcdef0123456789abcdeF"), Some(&TOKEN[1..])] {
            assert_eq!(bearer.verify(wrong.map(str::as_bytes)), Verdict::Wrong, "{wrong:?}");
        }
        assert!(!format!("{bearer:?}").contains(TOKEN));
    }

    #[test]
    fn without_a_token_the_api_is_off() {
        let bearer = Bearer::open(&values::Admin::default()).unwrap();
        assert_eq!(bearer.verify(Some(b"")), Verdict::Off);
        assert_eq!(bearer.verify(None), Verdict::Off);
    }

    #[test]
    fn readable_or_guessable_token_is_refused() {
        for (text, mode) in
            [(TOKEN, 0o644), (TOKEN, 0o640), ("short", 0o600), ("", 0o600), ("with a space in the middle of it", 0o600)]
        {
            let (_directory, admin) = configured(text, mode);
            assert!(Bearer::open(&admin).is_err(), "{text:?} {mode:o}");
        }
    }

    #[test]
    fn token_can_be_replaced_or_removed() {
        let (_directory, admin) = configured(TOKEN, 0o600);
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
