//! Banned words: each has a plain one in its place (CONTRIBUTING.md, "Plain English"). They must not come back in sources, tests,
//! documents or anything else that people read.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The banned words in lower case, and better ones.
const BANNED: &[(&str, &str)] = &[
    ("octet", "byte"),
    ("octets", "bytes"),
    ("folder", "directory"),
    ("folders", "directories"),
    ("whoever", "name the person or thing"),
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
    ("who has", "name the person or thing"),
    ("who have", "name the person or thing"),
    ("what is not", "name the thing"),
    ("is otherwise", "differs"),
    ("in vain", "without success"),
];

/// Names that others gave: productions of RFC 6265bis, and a method of the standard library's IP addresses.
const NAMES: &[&str] = &["cookie-octet", "av-octet", ".octets()", "\"vitals\""];

/// Files, and directories with everything in them.
const PLACES: &[&str] = &[
    "src",
    "tests",
    "benches",
    "fuzz/Cargo.toml",
    "fuzz/fuzz_targets",
    "fuzz/seeds",
    "scripts",
    "conf",
    "deploy",
    "docker",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
];

/// The table of CONTRIBUTING.md that names banned words begins with this line and ends with an empty one.
const TABLE_OF_WORDS: &str = "| not | but |";

#[test]
fn banned_words_do_not_occur() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    PLACES.iter().for_each(|place| collect(&root.join(place), &mut files));
    assert!(files.len() > 500, "{} files", files.len());
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests/words.rs")) {
        // Files that are not text are not read by people.
        let Ok(text) = fs::read_to_string(file) else { continue };
        let name = file.strip_prefix(root).unwrap().display();
        for (number, line) in checked_lines(&text) {
            found.extend(banned_in(line).map(|(word, better)| format!("{name}:{number}: `{word}` (better: {better})")));
        }
    }
    assert!(found.is_empty(), "{} banned words:\n{}", found.len(), found.join("\n"));
}

/// The lines of a file with their numbers, without the table of banned words.
fn checked_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_table = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        is_table = (is_table || *line == TABLE_OF_WORDS) && !line.is_empty();
        !is_table
    })
}

fn banned_in(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let line = NAMES.iter().fold(apart(line).to_lowercase(), |line, name| line.replace(name, ""));
    BANNED.iter().copied().filter(move |(word, _)| has_word(&line, word))
}

/// Puts a space between the words of a name in camel case.
fn apart(line: &str) -> String {
    let mut text = String::with_capacity(line.len() + 8);
    for c in line.chars() {
        if c.is_uppercase() && text.ends_with(char::is_lowercase) {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// Whether a line contains a word by itself or in a name, and not as a part of a longer word.
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
    } else {
        files.push(path.to_owned());
    }
}

#[test]
fn banned_words_are_found_alone_and_in_names() {
    for line in ["an octet", "Octets.", "const OCTET: u8", "is_cookie_octet(x)", "struct OctetCount", "taken up:"] {
        assert_eq!(banned_in(line).count(), 1, "{line}");
    }
    for line in ["their", "cookie-octet of RFC 6265bis", "theirs", "overtaken upwards", "bytes"] {
        assert_eq!(banned_in(line).count(), 0, "{line}");
    }
}
