//! Reads the project's files and takes documents apart. Knows nothing of what they should say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use burdock::config::Config;

/// How an entry of `sticky` begins in a code span.
const STICKY_BEGINNINGS: [&str; 6] = ["cookie: {", "header: {", "route: {", "hash: {", "learn: {", "sticky: ["];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All files under a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The code spans of a text, line by line.
pub fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The blocks of YAML in a document.
pub fn yaml_blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

/// The targets of the links in a document.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of a page's headings: lower case, dashes for spaces, without other characters.
pub fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    titles.map(|title| title.to_lowercase().replace(' ', "-").chars().filter(|&c| kept(c)).collect()).collect()
}

/// Checks that the entries of `sticky` in the code spans of a document are valid, where A and B stand for any source. Returns how
/// many there are.
pub fn check_sticky_entries(document: &str) -> usize {
    let text = read(document);
    let is_entry = |span: &&str| STICKY_BEGINNINGS.iter().any(|begin| span.starts_with(begin));
    let entries: Vec<&str> = spans(&text).filter(is_entry).collect();
    for entry in &entries {
        let entry = entry.replace("[A, B]", "['header:A', 'header:B']").replace(": E", ": 'header:E'");
        let sticky = if entry.starts_with("sticky") { entry } else { format!("sticky: [{{{entry}}}]") };
        let text =
            format!("listeners: ['127.0.0.1:8080']\nupstreams:\n  a:\n    servers: ['127.0.0.1:3001']\n    {sticky}\n");
        Config::parse(document, &text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    }
    entries.len()
}
