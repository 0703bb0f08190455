//! The Debian package, from its installation to its end.

use std::fs;
use std::sync::OnceLock;

use crate::root::Root;
use crate::tools::{command, lock, ok, project};

/// Made of the program that these tests were built with; once for each test, since each is a process.
pub fn package() -> &'static [u8] {
    static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let _alone = lock("package");
        let said = ok(command("scripts/package --built").arg(env!("CARGO_BIN_EXE_burdock")));
        let path = said.lines().rfind(|line| line.ends_with(".deb")).expect("the package's path");
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
fn what_is_installed_is_right_from_the_first_minute_and_nothing_is_started() {
    let root = installed();
    assert!(root.ok(&["burdock", "--version"]).starts_with("burdock "));
    assert!(root.ok(&["burdock", "check"]).contains("the configuration is right"));
    assert!(root.read("etc/passwd").contains("burdock:x:"));
    assert!(root.has("usr/lib/systemd/system/burdock.service"));
    assert!(!root.has("etc/systemd/system/multi-user.target.wants/burdock.service"));
    assert!(root.has("usr/share/man/man1/burdock.1.gz") && root.has("usr/share/man/man1/burdock-run.1.gz"));
    for completions in
        ["bash-completion/completions/burdock", "zsh/vendor-completions/_burdock", "fish/vendor_completions.d/burdock.fish"]
    {
        assert!(root.read(&format!("usr/share/{completions}")).contains("completions"));
    }
    assert!(root.has("etc/logrotate.d/burdock"));
    let kept = root.ok(&["dpkg-query", "--show", "--showformat=${Conffiles}", "burdock"]);
    assert!(kept.contains("/etc/burdock/burdock.yaml") && kept.contains("/etc/logrotate.d/burdock"), "{kept}");
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn what_the_operator_has_written_outlives_removal_and_a_new_installation() {
    let root = installed();
    let configuration = "etc/burdock/burdock.yaml";
    let written = root.read(configuration).replace("127.0.0.1:3001", "127.0.0.1:4001");
    fs::write(root.path(configuration), &written).unwrap();
    install(&root);
    assert_eq!(root.read(configuration), written);
    root.ok(&["dpkg", "--remove", "burdock"]);
    assert!(!root.has("usr/bin/burdock"));
    assert_eq!(root.read(configuration), written);
    install(&root);
    assert_eq!(root.read(configuration), written);
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn purged_it_leaves_nothing() {
    let root = Root::bare();
    let known = |root: &Root| ["etc/passwd", "etc/group", "etc/shadow"].map(|file| root.read(file));
    let before = (root.files(), known(&root));
    install(&root);
    for folder in ["var/lib/burdock", "var/log/burdock", "etc/burdock/keys"] {
        fs::create_dir_all(root.path(folder)).unwrap();
        fs::write(root.path(folder).join("of-its-own"), "x").unwrap();
    }
    root.ok(&["dpkg", "--purge", "burdock"]);
    let after = root.files();
    assert_eq!(after.difference(&before.0).collect::<Vec<_>>(), [] as [&str; 0]);
    assert_eq!(before.0.difference(&after).collect::<Vec<_>>(), [] as [&str; 0]);
    assert_eq!(known(&root), before.1);
}

#[test]
#[ignore = "needs root, debootstrap and cargo-deb: scripts/test --full"]
fn the_program_is_stripped_and_names_the_file_with_its_symbols() {
    package();
    let made = project().join("target/package");
    let sections = |file: &str| ok(command("readelf --section-headers --wide").arg(made.join(file)));
    let shipped = sections("burdock");
    assert!(shipped.contains(".gnu_debuglink") && !shipped.contains(".debug_line"), "{shipped}");
    assert!(sections("burdock.debug").contains(".debug_line"));
}
