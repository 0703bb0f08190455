//! Real Chromium with its own profile. `scripts/install full` installs it.

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Site;

/// Headless Chromium blocks third-party cookies by default; then only partitioned cookies reach a cross-site frame.
const THIRD_PARTY_COOKIES_ALLOWED: &str = r#"{"profile": {"cookie_controls_mode": 0}}"#;

/// A browser that has opened a page. Killed when dropped, and its profile deleted.
pub struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page. Every host name under `.test` resolves to the site's address, and any certificate is accepted.
    pub fn open(site: &Site, url: &str) -> Self {
        let profile = TempDir::with_prefix("chromium-").unwrap();
        fs::create_dir(profile.path().join("Default")).unwrap();
        fs::write(profile.path().join("Default/Preferences"), THIRD_PARTY_COOKIES_ALLOWED).unwrap();
        let mut command = Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--ignore-certificate-errors", "--remote-debugging-port=0"]);
        command.arg(format!("--host-resolver-rules=MAP *.test {}", site.listen().ip()));
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("chromium: {error}; scripts/install full installs it"));
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
