//! The license, the notices of what Burdock contains, and where they are installed.

use std::collections::BTreeSet;

use crate::text::read;

/// The words of a list in a TOML file.
fn words(file: &str, list: &str) -> BTreeSet<String> {
    let text = read(file);
    let (_, rest) = text.split_once(&format!("\n{list} = [")).unwrap_or_else(|| panic!("no {list} in {file}"));
    let entries = rest.split(']').next().unwrap();
    entries.split(',').map(|entry| entry.trim().trim_matches('"').to_owned()).filter(|entry| !entry.is_empty()).collect()
}

#[test]
fn the_license_file_is_the_license_of_the_manifest() {
    assert!(read("Cargo.toml").contains("\nlicense = \"Apache-2.0\"\n"));
    let license = read("LICENSE");
    let begin: Vec<&str> = license.lines().map(str::trim).filter(|line| !line.is_empty()).take(2).collect();
    assert_eq!(begin, ["Apache License", "Version 2.0, January 2004"]);
    assert!(license.contains("END OF TERMS AND CONDITIONS"));
}

#[test]
fn the_notices_accept_the_licenses_that_dependencies_may_have() {
    let accepted = words("about.toml", "accepted");
    assert!(accepted.contains("Apache-2.0"));
    assert_eq!(accepted, words("deny.toml", "allow"));
    assert_eq!(words("about.toml", "targets"), words("deny.toml", "targets"));
}

#[test]
fn package_and_image_contain_the_license_and_the_notices() {
    let (manifest, image, ignored) = (read("Cargo.toml"), read("docker/Dockerfile"), read(".dockerignore"));
    for file in ["LICENSE", "THIRD-PARTY-NOTICES"] {
        let is_asset = |line: &str| line.contains(&format!("{file}\", \"usr/share/doc/burdock/\""));
        assert!(manifest.lines().any(is_asset), "{file} is no asset of the package");
        let is_copied =
            |line: &str| line.starts_with("COPY") && line.contains(file) && line.ends_with("/usr/share/doc/burdock/");
        assert!(image.lines().any(is_copied), "{file} is not in the image");
    }
    for needed in ["LICENSE", "about.toml", "about.hbs"] {
        assert!(ignored.lines().any(|line| line == format!("!{needed}")), "the build of the image lacks {needed}");
    }
}
