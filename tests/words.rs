//! Words that are out: each has a plain one in its place (CONTRIBUTING.md, "Plain English"). They must not come back in
//! sources, tests or documents.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// What is out, in lower case, and what is said in its place.
const OUT: &[(&str, &str)] = &[
    ("octet", "byte"),
    ("octets", "bytes"),
    ("folder", "directory"),
    ("folders", "directories"),
    ("whoever", "say who"),
    ("anew", "again"),
    ("legacy", "handoff"),
    ("estate", "handoff"),
    ("heir", "table feed"),
    ("vitals", "health state"),
    ("thereby", "so"),
    ("take up", "apply"),
    ("takes up", "applies"),
    ("taken up", "applied"),
    ("took up", "applied"),
    ("of no use", "unavailable, useless"),
    ("who has", "say who"),
    ("who have", "say who"),
    ("what is not", "say what"),
    ("is otherwise", "differs"),
    ("in vain", "without success"),
];

/// Names that others gave: productions of RFC 6265bis, and a method of the standard library's IP addresses.
const NAMES: &[&str] = &["cookie-octet", "av-octet", ".octets()", "\"vitals\""];

/// What has been gone over.
const PLACES: &[&str] = &[
    "src",
    "tests/stories",
    "tests/architecture",
    "benches",
    "conf",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/admin.md",
    "docs/draining.md",
    "docs/monitoring.md",
    "docs/tls.md",
    "docs/upgrades.md",
];

const ENDINGS: &[&str] = &["rs", "md", "yaml", "yml", "json", "toml", "snap", "py", "conf", "service", "css"];

#[test]
fn words_that_are_out_stay_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    PLACES.iter().for_each(|place| collect(&root.join(place), &mut files));
    assert!(files.len() > 100, "{} files", files.len());
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests/words.rs")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        let name = file.strip_prefix(root).unwrap().display();
        let lines = text.lines().enumerate();
        found.extend(
            lines
                .flat_map(|(at, line)| out_in(line).map(move |out| (at + 1, out)))
                .map(|(line, (word, instead))| format!("{name}:{line}: `{word}` (say: {instead})")),
        );
    }
    assert!(found.is_empty(), "{} words that are out:\n{}", found.len(), found.join("\n"));
}

fn out_in(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let line = NAMES.iter().fold(line.to_lowercase(), |line, name| line.replace(name, ""));
    OUT.iter().copied().filter(move |(word, _)| has_word(&line, word))
}

/// Whether a word stands in a line by itself or as a part of a name, with nothing of a longer word around it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| collect(&entry.unwrap().path(), files));
    } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
        files.push(path.to_owned());
    }
}

#[test]
fn words_are_found_alone_and_in_names() {
    for line in ["an octet", "Octets.", "const OCTET: u8", "is_cookie_octet(x)", "taken up:"] {
        assert_eq!(out_in(line).count(), 1, "{line}");
    }
    for line in ["their", "cookie-octet of RFC 6265bis", "theirs", "overtaken upwards", "bytes"] {
        assert_eq!(out_in(line).count(), 0, "{line}");
    }
}
