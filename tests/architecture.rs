//! Which module may use which, checked against the sources. The checks read text, not Rust: every path counts that is outside
//! comments, strings and `#[cfg(test)]` parts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each core module and the paths under `crate::` that it may use. A path to an item covers the item and everything in it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("lock", &[]),
    ("http", &[]),
    ("ids", &[]),
    ("source", &["http"]),
    ("session", &["ids", "lock", "sticky", "time", "token", "upstream::ServerId"]),
    ("token", &["http", "ids", "session", "sticky", "time", "upstream::ServerId"]),
    ("table", &["ids", "lock", "session", "sticky", "time", "token", "upstream::ServerId"]),
    ("upstream", &["ids", "lock", "time"]),
    (
        "sticky",
        &[
            "http",
            "ids",
            "lock",
            "session",
            "source",
            "table",
            "time",
            "token",
            "upstream::ServerId",
            "upstream::UpstreamName",
            "upstream::balance::LoadFactor",
        ],
    ),
    ("route", &["http::host", "http::path", "ids", "upstream::UpstreamName"]),
    ("balancer", &["ids", "route", "session", "source", "sticky", "table", "token", "upstream", "http", "lock", "time"]),
    ("config", &["balancer", "ids", "route", "session", "source", "sticky", "table", "token", "upstream", "http", "time"]),
];

/// The shell's modules. The shell may use everything; the core must not name the shell.
const SHELL: &[&str] = &[
    "admin",
    "api",
    "cli",
    "control",
    "demo",
    "discovery",
    "edge",
    "main",
    "probing",
    "process",
    "proxy",
    "runtime",
    "serve",
    "servers",
    "storage",
    "telemetry",
];

/// What the core must not use: I/O, clocks and randomness. `log::` covers only the items of that crate, so a value may be called
/// `log`.
const OUT_OF_REACH: &[&str] = &[
    "aws_lc_rs::rand",
    "env_logger::",
    "eprintln!",
    "log::",
    "pingora::",
    "pingora_core::",
    "pingora_load_balancing::",
    "pingora_proxy::",
    "println!",
    "prometheus::",
    "rand::",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::",
];

#[test]
fn each_module_uses_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for file in core_files() {
        let allowed = allowed(&file.module);
        for path in file.crate_paths() {
            let module = first(&path);
            let own = module == file.module;
            let known = MAY_USE.iter().any(|(name, _)| *name == module);
            if known && !own && !allowed.iter().any(|may| is_within(&path, may)) {
                broken.push(format!("{}: `{}` may not use crate::{path}", file.name, file.module));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_core_names_nothing_of_the_shell() {
    let mut broken = Vec::new();
    for file in core_files() {
        let shell = file.crate_paths().into_iter().filter(|path| SHELL.contains(&first(path)));
        broken.extend(shell.map(|path| format!("{}: crate::{path}", file.name)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_core_reaches_no_socket_file_log_clock_or_chance() {
    let mut broken = Vec::new();
    for file in core_files() {
        let paths = file.outside_paths();
        for banned in OUT_OF_REACH {
            broken.extend(paths.iter().filter(|path| reaches(path, banned)).map(|path| format!("{}: {path}", file.name)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_lock_of_the_core_is_one_that_a_scheduler_can_take_over() {
    for file in core_files().into_iter().filter(|file| file.module != "lock") {
        assert!(!file.outside_paths().iter().any(|path| is_within(path, "parking_lot")), "{}", file.name);
    }
}

#[test]
fn every_module_of_the_core_is_in_the_table() {
    let found: BTreeSet<String> =
        core_files().into_iter().map(|file| file.module).filter(|module| module != "lib").collect();
    let table: BTreeSet<String> = MAY_USE.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(found, table);
}

struct Source {
    /// Path under `src/`.
    name: String,
    /// The first part of `name`: the module in the table.
    module: String,
    /// The depth of the module: 1 for `src/route.rs`.
    depth: usize,
    /// Without comments, strings and tests.
    code: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(root).unwrap().with_extension("").to_str().unwrap().to_owned();
        let modules: Vec<&str> = name.split('/').filter(|part| *part != "mod").collect();
        Self {
            module: modules[0].to_owned(),
            depth: modules.len(),
            code: code_only(&fs::read_to_string(path).unwrap()),
            name,
        }
    }

    /// Paths after `crate::`, or after as many `super::` as lead to the crate's root.
    fn crate_paths(&self) -> Vec<String> {
        paths(&self.code)
            .into_iter()
            .filter_map(|path| {
                let climbed = path.split("::").take_while(|part| *part == "super").count();
                let climbed_out = climbed > 0 && climbed == self.depth;
                if climbed_out {
                    return Some(path.split("::").skip(climbed).collect::<Vec<_>>().join("::"));
                }
                path.strip_prefix("crate::").map(str::to_owned)
            })
            .collect()
    }

    fn outside_paths(&self) -> Vec<String> {
        paths(&self.code).into_iter().filter(|path| !["crate", "self", "super", "Self"].contains(&first(path))).collect()
    }
}

fn core_files() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.retain(|path| !path.ends_with("tests.rs"));
    let sources = found.iter().map(|path| Source::read(&root, path));
    sources.filter(|source| !SHELL.contains(&source.module.as_str())).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn allowed(module: &str) -> Vec<&'static str> {
    let row = MAY_USE.iter().find(|(name, _)| *name == module);
    let everything = || MAY_USE.iter().map(|(name, _)| *name).collect();
    row.map_or_else(everything, |(_, paths)| paths.to_vec())
}

fn first(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

/// `upstream::name::X` is within `upstream` and within `upstream::name`.
fn is_within(path: &str, other: &str) -> bool {
    path == other || path.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"))
}

fn reaches(path: &str, banned: &str) -> bool {
    match banned.strip_suffix("::") {
        Some(root) => path.len() > root.len() && is_within(path, root),
        None => is_within(path, banned),
    }
}

/// Replaces `::` while paths are read, so that the single colon of `name: Type` ends a path.
const SEPARATOR: char = '§';

/// Every `a::b::c` in the code, with groups expanded: `a::{b, c::d}` gives `a::b` and `a::c::d`. Macro names keep their `!`.
fn paths(code: &str) -> Vec<String> {
    let code = code.replace("::", "§");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find(is_of_path) {
        rest = path_from(&rest[start..], "", &mut found);
    }
    found
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == SEPARATOR
}

/// Reads the path at the start of `code`, adds it under `prefix` to `found`, and returns the rest.
fn path_from<'a>(code: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let end = code.find(|c| !is_of_path(c)).unwrap_or(code.len());
    let (text, rest) = code.split_at(end);
    let path = join(prefix, &text.trim_matches(SEPARATOR).replace(SEPARATOR, "::"));
    if let (true, Some(group)) = (text.ends_with(SEPARATOR), rest.strip_prefix('{')) {
        return group_from(group, &path, found);
    }
    found.push(if rest.starts_with('!') { format!("{path}!") } else { path });
    rest
}

/// Reads the inside of `prefix::{…}` up to its closing brace.
fn group_from<'a>(code: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let mut rest = code;
    while let Some(at) = rest.find(|c| c == '}' || is_of_path(c)) {
        if let Some(after) = rest[at..].strip_prefix('}') {
            return after;
        }
        rest = path_from(&rest[at..], prefix, found);
    }
    ""
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix, path.strip_prefix("self")) {
        ("", _) => path.to_owned(),
        (_, Some("")) => prefix.to_owned(),
        _ => format!("{prefix}::{path}"),
    }
}

/// Removes line comments, strings, and everything from `#[cfg(test)]` on, because tests come last in a file.
fn code_only(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = text.lines().map(|line| without_strings(line.split("//").next().unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

fn without_strings(line: &str) -> String {
    let outside = line.split('"').step_by(2);
    outside.collect::<Vec<_>>().join("\"\"")
}

#[test]
fn paths_are_read_with_their_groups() {
    let code = "use crate::{a::b, c::{self, d}};\nfn f(x: std::fs::File, y: Z) { log::warn!(); super::g() }";
    let found = paths(code);
    for path in ["crate::a::b", "crate::c", "crate::c::d", "std::fs::File", "log::warn!", "super::g", "Z"] {
        assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
    }
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let code = code_only("a(\"std::fs\"); // std::env\n#[cfg(test)]\nmod tests { use std::net::TcpStream; }");
    assert_eq!(paths(&code), ["a"]);
}
