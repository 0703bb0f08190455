//! Every page: its links, paths and configurations, and the lists of modules, invariants and dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burdock::balancer::reason::Reason;
use burdock::config::Config;
use serde_json::Value;

use crate::text::{anchors, check_sticky_entries, files, links, read, root, spans, yaml_blocks};

const ROOT_DOCUMENTS: [&str; 5] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
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
    let full = |name: &str| if name.starts_with("process_") { name.to_owned() } else { format!("burdock_{name}") };
    let families: Vec<String> = texts.windows(3).filter(is_family).map(|three| full(three[0])).collect();
    assert!(families.len() > 12, "{families:?}");
    none_missing(&read("docs/reference.md"), families.iter().map(String::as_str));
}

#[test]
fn every_whole_configuration_in_the_documents_is_valid() {
    for document in documents() {
        let text = read(&document);
        for block in yaml_blocks(&text).filter(|block| block.lines().any(|line| line.starts_with("upstreams:"))) {
            let config = Config::parse(&document, block).unwrap_or_else(|errors| panic!("{errors}\n{block}"));
            assert_eq!(config.warnings, [], "{document}\n{block}");
        }
    }
}

#[test]
fn every_sticky_entry_in_the_documents_is_valid() {
    for document in ["README.md", "docs/reference.md"] {
        assert!(check_sticky_entries(document) >= 5, "{document}");
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
        for path in prose_spans(&text).filter(|span| span.contains('/') && span.chars().all(is_path_character)) {
            let start = path.split('/').next().unwrap_or_default();
            let from_root = !start.is_empty() && root().join(start).is_dir();
            // Others are not files: `/readyz`, or a term of another proxy.
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
    let names = prose_spans(&invariants).filter(|name| name.matches('_').count() >= 3);
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
        for target in links(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") {
                continue;
            }
            let path = if file.is_empty() { root().join(&document) } else { directory.join(file) };
            assert!(path.exists(), "{document}: {target}");
            assert!(heading.is_empty() || anchors(&path).contains(heading), "{document}: {target}");
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

/// The text under a heading, up to the next one of its level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The code spans of a document outside of its code blocks.
fn prose_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(spans)
}

fn is_path_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c)
}

fn none_missing<'w>(text: &str, words: impl Iterator<Item = &'w str>) {
    let missing: Vec<&str> = words.filter(|word| !text.contains(word)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}
