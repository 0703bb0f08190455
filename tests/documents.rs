//! The documents against the sources: everything that they list exists, and everything that exists is listed. Only readers can tell
//! whether it is explained well.

// Clippy does not treat the helpers below as test code.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use burdock::balancer::reason::Reason;
use burdock::config::Config;
use serde_json::Value;

const ROOT_DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
const OTHER_DOCUMENTS: [&str; 3] = ["docker/README.md", "deploy/kubernetes/README.md", "deploy/systemd/README.md"];
const INTERNALS: &str = "docs/internals/";

#[test]
fn the_reference_names_every_field_and_word_of_the_schema() {
    let mut words = BTreeSet::new();
    collect_words(&Config::schema(), &mut words);
    assert!(words.len() > 60, "{words:?}");
    none_missing(&read("docs/reference.md"), words.iter().map(String::as_str));
}

#[test]
fn every_reason_is_explained_in_the_readme_and_in_the_reference() {
    for document in ["README.md", "docs/reference.md"] {
        none_missing(&read(document), Reason::ALL.into_iter().map(Reason::as_str));
    }
}

#[test]
fn the_reference_names_every_metric() {
    let source = read("src/telemetry/metrics/families.rs");
    // A name and its help: two strings separated only by a comma, the second a sentence.
    let texts: Vec<&str> = source.split('"').collect();
    let is_family = |three: &&[&str]| three[1].trim() == "," && three[2].starts_with(|c: char| c.is_ascii_uppercase());
    let families: Vec<String> = texts.windows(3).filter(is_family).map(|three| format!("burdock_{}", three[0])).collect();
    assert!(families.len() > 12, "{families:?}");
    none_missing(&read("docs/reference.md"), families.iter().map(String::as_str));
}

#[test]
fn every_whole_configuration_in_the_documents_is_valid() {
    for document in documents() {
        let text = read(&document);
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks.filter(|block| block.lines().any(|line| line.starts_with("upstreams:"))) {
            let config = Config::parse(&document, block).unwrap_or_else(|errors| panic!("{errors}\n{block}"));
            assert_eq!(config.warnings, [], "{document}\n{block}");
        }
    }
}

/// Entries of `sticky` within a line of text or a table, where A and B stand for any source.
#[test]
fn every_sticky_entry_in_the_documents_is_valid() {
    const BEGINNINGS: [&str; 6] = ["cookie: {", "header: {", "route: {", "hash: {", "learn: {", "sticky: ["];
    for document in ["README.md", "docs/reference.md"] {
        let text = read(document);
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|span| span.contains('{'));
        let entries: Vec<&str> = spans.filter(|span| BEGINNINGS.iter().any(|begin| span.starts_with(begin))).collect();
        assert!(entries.len() >= 5, "{document}: {entries:?}");
        for entry in entries {
            let entry = entry.replace("[A, B]", "['header:A', 'header:B']").replace(": E", ": 'header:E'");
            let sticky = if entry.starts_with("sticky") { entry } else { format!("sticky: [{{{entry}}}]") };
            let text =
                format!("listeners: ['127.0.0.1:8080']\nupstreams:\n  a:\n    servers: ['127.0.0.1:3001']\n    {sticky}\n");
            Config::parse(document, &text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        }
    }
}

#[test]
fn architecture_has_a_paragraph_for_every_module() {
    let architecture = read("ARCHITECTURE.md");
    let paragraphs = section(&architecture, "## Modules").lines().filter_map(|line| line.strip_prefix("- **`"));
    let named: BTreeSet<String> = paragraphs.filter_map(|line| line.split('`').next()).map(str::to_owned).collect();
    let difference: Vec<_> = modules().symmetric_difference(&named).cloned().collect();
    assert!(difference.is_empty(), "in src or under \"Modules\" of ARCHITECTURE.md, but not in both: {difference:?}");
}

#[test]
fn architecture_has_at_most_250_lines() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 250, "{lines} lines");
}

/// Paths in backticks: of a module (`serve/receive`), or from the root (`tests/stories`).
#[test]
fn every_path_in_architecture_and_internals_exists() {
    let (modules, mut seen) = (modules(), 0);
    for document in documents().into_iter().filter(|name| name == "ARCHITECTURE.md" || name.starts_with(INTERNALS)) {
        let text = read(&document);
        for path in spans(&text).filter(|span| span.contains('/') && span.chars().all(is_of_a_path)) {
            let start = path.split('/').next().unwrap_or_default();
            let from_root = !start.is_empty() && root().join(start).is_dir();
            // `/readyz` is no file, nor is a word of another proxy's.
            if !from_root && !modules.contains(start) {
                continue;
            }
            let found = if from_root { root().join(path) } else { root().join("src").join(path) };
            assert!(found.exists() || found.with_extension("rs").exists(), "{document}: {path}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_dependency_has_a_comment_that_says_why() {
    let manifest = read("Cargo.toml");
    let lines =
        manifest.lines().skip_while(|line| *line != "[dependencies]").take_while(|line| !line.starts_with("[profile"));
    let lines: Vec<&str> = lines.collect();
    let pairs = lines.windows(2).filter(|pair| !pair[1].starts_with('#') && pair[1].contains(" = "));
    let (with, without): (Vec<&[&str]>, Vec<&[&str]>) =
        pairs.partition(|pair| pair[0].starts_with("# ") || pair[1].contains(" # "));
    assert!(with.len() > 20, "{with:?}");
    assert!(without.is_empty(), "no comment on the line or above it: {without:?}");
}

#[test]
fn every_test_of_an_invariant_exists() {
    let sources = files(&root().join("src")).into_iter().chain(files(&root().join("tests")));
    let code: String = sources.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let invariants = read("docs/internals/invariants.md");
    // A test's name is a sentence: nothing else in that table has so many underscores.
    let names = spans(&invariants).filter(|name| name.matches('_').count() >= 3);
    let tests: Vec<String> = names.map(|name| format!("fn {name}(")).collect();
    assert!(tests.len() > 20, "{tests:?}");
    none_missing(&code, tests.iter().map(String::as_str));
}

#[test]
fn architecture_and_the_table_of_tests_have_the_same_invariants() {
    let table = read("docs/internals/invariants.md");
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let number: usize = cells.next()?.parse().ok()?;
        Some(format!("{number}. {}", cells.next()?))
    });
    let table: Vec<String> = rows.collect();
    assert!(table.len() >= 30, "{table:?}");
    let architecture = read("ARCHITECTURE.md");
    let items = section(&architecture, "## Invariants").replace("\n   ", " ");
    let listed: Vec<&str> = items.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(listed, table);
}

#[test]
fn every_link_within_the_project_resolves() {
    for document in documents() {
        let directory = root().join(&document).parent().unwrap().to_owned();
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") {
                continue;
            }
            let path = if file.is_empty() { root().join(&document) } else { directory.join(file) };
            assert!(path.exists(), "{document}: {target}");
            assert!(heading.is_empty() || headings(&path).contains(heading), "{document}: {target}");
        }
    }
}

#[test]
fn the_index_lists_every_page() {
    let pages = pages().into_iter().filter(|page| page != "docs/README.md");
    let links: Vec<String> = pages.map(|page| page.replace("docs/", "](") + ")").collect();
    none_missing(&read("docs/README.md"), links.iter().map(String::as_str));
}

/// All documents: those of the root, every page of docs, and the others.
fn documents() -> Vec<String> {
    ROOT_DOCUMENTS.iter().chain(&OTHER_DOCUMENTS).map(|&document| document.to_owned()).chain(pages()).collect()
}

/// The pages of docs, with those on the internals.
fn pages() -> Vec<String> {
    let all = files(&root().join("docs"));
    let pages: Vec<String> = all.iter().map(|file| relative(file)).filter(|file| file.ends_with(".md")).collect();
    assert!(pages.len() > 6, "{pages:?}");
    pages
}

/// Field names and fixed words of a schema.
fn collect_words(schema: &Value, words: &mut BTreeSet<String>) {
    let Value::Object(map) = schema else {
        schema.as_array().into_iter().flatten().for_each(|inner| collect_words(inner, words));
        return;
    };
    if let Some(Value::Object(properties)) = map.get("properties") {
        words.extend(properties.keys().cloned());
    }
    if let Some(Value::Array(fixed)) = map.get("enum") {
        words.extend(fixed.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    map.values().for_each(|inner| collect_words(inner, words));
}

/// The top-level modules of src: directories, and files that are modules of their own.
fn modules() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let names = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != "lib").collect()
}

/// What stands under a heading, up to the next of its level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The texts in backticks, blocks of code left out.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(str::lines).flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn is_of_a_path(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c)
}

fn none_missing<'w>(text: &str, words: impl Iterator<Item = &'w str>) {
    let missing: Vec<&str> = words.filter(|word| !text.contains(word)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

/// The anchors of a page's headings: lower case, dashes for spaces, without other characters.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    titles.map(|title| title.to_lowercase().replace(' ', "-").chars().filter(|&c| kept(c)).collect()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
