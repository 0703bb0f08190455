//! The Debian package, from installation to purge.

use std::fs;
use std::sync::OnceLock;

use crate::root::Root;
use crate::tools::{command, lock, ok, output, project, text};

/// The package with the binary that these tests were built with. Each test builds it once, because each test is a process.
pub fn package() -> &'static [u8] {
    static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let _lock = lock("package");
        let output = ok(command("scripts/package --built").arg(env!("CARGO_BIN_EXE_burdock")));
        let path = output.lines().rfind(|line| line.ends_with(".deb")).expect("the package's path");
        fs::read(project().join(path)).unwrap()
    })
}

fn installed() -> Root {
    let root = Root::bare();
    install(&root);
    root
}

fn install(root: &Root) {
    fs::write(root.path("tmp/burdock.deb"), package()).unwrap();
    root.ok(&["dpkg", "--install", "/tmp/burdock.deb"]);
    fs::remove_file(root.path("tmp/burdock.deb")).unwrap();
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn installation_yields_a_valid_configuration_and_starts_nothing() {
    let root = installed();
    assert!(root.ok(&["burdock", "--version"]).starts_with("burdock "));
    assert!(root.ok(&["burdock", "check"]).contains("configuration OK"));
    assert!(root.read("etc/passwd").contains("burdock:x:"));
    assert!(root.has("usr/lib/systemd/system/burdock.service"));
    assert!(!root.has("etc/systemd/system/multi-user.target.wants/burdock.service"));
    assert!(root.has("usr/share/man/man1/burdock.1.gz") && root.has("usr/share/man/man1/burdock-run.1.gz"));
    assert!(root.has("usr/share/man/man5/burdock.yaml.5.gz"));
    assert!(root.read("usr/share/doc/burdock/LICENSE").contains("Apache License"));
    assert!(root.has("usr/share/doc/burdock/SECURITY.md"));
    assert_notices(&root.read("usr/share/doc/burdock/THIRD-PARTY-NOTICES"));
    for completions in
        ["bash-completion/completions/burdock", "zsh/vendor-completions/_burdock", "fish/vendor_completions.d/burdock.fish"]
    {
        assert!(root.read(&format!("usr/share/{completions}")).contains("completions"));
    }
    assert!(root.has("etc/logrotate.d/burdock"));
    let conffiles = root.ok(&["dpkg-query", "--show", "--showformat=${Conffiles}", "burdock"]);
    assert!(
        conffiles.contains("/etc/burdock/burdock.yaml") && conffiles.contains("/etc/logrotate.d/burdock"),
        "{conffiles}"
    );
}

/// They name crates of each kind with the text of their license: Rust, C in a crate, and no development dependencies.
pub fn assert_notices(notices: &str) {
    for part in
        ["  pingora-proxy ", "  aws-lc-sys ", "  libmimalloc-sys ", "Permission is hereby granted", "TERMS AND CONDITIONS"]
    {
        assert!(notices.contains(part), "no {part}");
    }
    assert!(!notices.contains("  insta "), "insta is for tests only");
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn operator_edits_survive_removal_and_reinstallation() {
    let root = installed();
    let configuration = "etc/burdock/burdock.yaml";
    let edited = root.read(configuration).replace("127.0.0.1:3001", "127.0.0.1:4001");
    fs::write(root.path(configuration), &edited).unwrap();
    install(&root);
    assert_eq!(root.read(configuration), edited);
    root.ok(&["dpkg", "--remove", "burdock"]);
    assert!(!root.has("usr/bin/burdock"));
    assert_eq!(root.read(configuration), edited);
    install(&root);
    assert_eq!(root.read(configuration), edited);
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn a_purge_leaves_nothing_behind() {
    let root = Root::bare();
    let accounts = |root: &Root| ["etc/passwd", "etc/group", "etc/shadow"].map(|file| root.read(file));
    let before = (root.files(), accounts(&root));
    install(&root);
    for directory in ["var/lib/burdock", "var/log/burdock", "etc/burdock/keys"] {
        fs::create_dir_all(root.path(directory)).unwrap();
        fs::write(root.path(directory).join("of-its-own"), "x").unwrap();
    }
    root.ok(&["dpkg", "--purge", "burdock"]);
    let after = root.files();
    assert_eq!(after.difference(&before.0).collect::<Vec<_>>(), [] as [&str; 0]);
    assert_eq!(before.0.difference(&after).collect::<Vec<_>>(), [] as [&str; 0]);
    assert_eq!(accounts(&root), before.1);
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn the_binary_is_stripped_and_links_its_debug_file() {
    package();
    let built = project().join("target/package");
    let sections = |file: &str| ok(command("readelf --section-headers --wide").arg(built.join(file)));
    let shipped = sections("burdock");
    assert!(shipped.contains(".gnu_debuglink") && !shipped.contains(".debug_line"), "{shipped}");
    assert!(sections("burdock.debug").contains(".debug_line"));
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn manual_pages_render_without_warnings() {
    package();
    let directory = fs::read_dir(project().join("target/package/man")).unwrap();
    let pages: Vec<_> = directory.map(|entry| entry.unwrap().path()).collect();
    assert!(pages.iter().any(|page| page.ends_with("burdock.yaml.5")));
    for page in pages {
        let rendered =
            output(command("man --warnings --local-file").arg(&page).env("MANPAGER", "cat").env("MANWIDTH", "100"));
        assert!(rendered.status.success() && rendered.stderr.is_empty(), "{}: {}", page.display(), text(&rendered));
    }
}
