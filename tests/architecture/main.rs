//! Which module may use which, read from the sources, file by file: layers, circular imports, and forbidden imports.
#![allow(clippy::unwrap_used)]

mod graph;
mod paths;

use graph::{Graph, Module, SHELL};

/// Top-level modules from the bottom up: each may use those before it, and none after it. The library ends with `config`.
const LAYERS: &[&str] = &[
    "time",
    "lock",
    "http",
    "ids",
    "source",
    "session",
    "token",
    "table",
    "upstream",
    "sticky",
    "route",
    "balancer",
    "config",
    "api",
    "runtime",
    "telemetry",
    "storage",
    "servers",
    "client",
    "serve",
    "control",
    "probing",
    "discovery",
    "http1",
    "proxy",
    "edge",
    "admin",
    "process",
    "demo",
    "cli",
    "main",
];

/// Forbidden imports: files under the first path use none under the others, even where the layers allow it.
const FORBIDDEN_IMPORTS: &[(&str, &[&str], &str)] = &[
    ("client", &["admin", "process", "storage", "control"], "the request path knows no admin, upgrade or disk"),
    ("serve", &["admin", "process", "storage", "control"], "the request path knows no admin, upgrade or disk"),
    ("servers", &["admin", "process", "storage", "control"], "the request path knows no admin, upgrade or disk"),
    ("proxy", &["admin", "process", "storage", "control"], "the request path knows no admin, upgrade or disk"),
    ("table", &["token"], "`table` knows no tokens"),
    ("token", &["upstream"], "`token` knows no upstream state"),
    ("storage", &["process"], "`storage` knows no upgrade, which subscribes to the table's feed"),
    ("control", &["admin"], "`control` knows no admin"),
    ("telemetry", &["serve", "control", "probing", "sticky", "token"], "`telemetry` decides nothing"),
    ("sticky", &["upstream"], "`sticky` never looks servers up"),
    ("upstream", &["http", "sticky", "token"], "`upstream` never reads cookies"),
    (
        "config/schema",
        &["http", "ids", "source", "session", "upstream", "sticky", "route", "balancer"],
        "the YAML reader knows nothing of Burdock",
    ),
];

/// What the core must not use: I/O, clocks and random sources. `log::` means what is in that crate, so a value may be called `log`.
const FORBIDDEN_IN_CORE: &[&str] = &[
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

/// No module has a larger part of the lines of `src`, in percent.
const LARGEST_MODULE: usize = 15;

#[test]
fn modules_use_only_layers_below_their_own() {
    let graph = Graph::read();
    let layer = |module: &Module| LAYERS.iter().position(|name| *name == module[0]);
    assert_none(&arrows(&graph, |from, to| layer(from) < layer(to)));
}

#[test]
fn every_module_has_a_layer() {
    let graph = Graph::read();
    let missing = graph.files.keys().filter(|module| module[0] != "lib" && !LAYERS.contains(&module[0].as_str()));
    assert_none(&missing.map(|module| graph.name(module).to_owned()).collect::<Vec<_>>());
}

#[test]
fn no_circle_has_more_than_two_files() {
    let graph = Graph::read();
    let circles = graph.circles().into_iter().filter(|circle| circle.len() > 2);
    assert_none(&circles.map(|circle| format!("{} files: {}", circle.len(), circle.join(" "))).collect::<Vec<_>>());
}

#[test]
fn no_forbidden_import_exists() {
    let graph = Graph::read();
    for (module, others, why) in FORBIDDEN_IMPORTS {
        let broken = arrows(&graph, |from, to| lies_in(from, module) && others.iter().any(|other| lies_in(to, other)));
        assert!(broken.is_empty(), "{why}:\n{}", broken.join("\n"));
    }
}

#[test]
fn no_module_exceeds_its_share_of_lines() {
    let graph = Graph::read();
    let lines = |module: &str| -> usize {
        graph.files.iter().filter(|(path, _)| module.is_empty() || path[0] == module).map(|(_, file)| file.lines).sum()
    };
    let all = lines("");
    let large = LAYERS.iter().filter(|module| lines(module) * 100 > all * LARGEST_MODULE);
    assert_none(&large.map(|module| format!("{module}: {} of {all} lines", lines(module))).collect::<Vec<_>>());
}

#[test]
fn the_core_uses_no_socket_file_log_clock_or_random_source() {
    let graph = Graph::read();
    let mut broken = Vec::new();
    for (name, path) in core_paths(&graph) {
        broken.extend(FORBIDDEN_IN_CORE.iter().filter(|banned| reaches(path, banned)).map(|_| format!("{name}: {path}")));
    }
    assert_none(&broken);
}

#[test]
fn the_core_uses_only_locks_that_a_scheduler_can_replace() {
    let graph = Graph::read();
    let own = core_paths(&graph).into_iter().filter(|(name, path)| *name != "lock.rs" && is_within(path, "parking_lot"));
    assert_none(&own.map(|(name, path)| format!("{name}: {path}")).collect::<Vec<_>>());
}

fn arrows(graph: &Graph, wanted: impl Fn(&Module, &Module) -> bool) -> Vec<String> {
    let all = graph.arrows.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
    let wanted = all.filter(|(from, to)| wanted(from, to));
    wanted.map(|(from, to)| format!("{} uses {}", graph.name(from), graph.name(to))).collect()
}

fn core_paths(graph: &Graph) -> Vec<(&str, &String)> {
    let core = graph.files.iter().filter(|(module, _)| !SHELL.contains(&module[0].as_str()));
    core.flat_map(|(_, file)| {
        let imports = file.paths.imports.iter().map(|import| &import.path);
        imports.chain(&file.paths.written).map(|path| (file.name.as_str(), path))
    })
    .collect()
}

/// Whether a file lies under a path such as `config/schema`.
fn lies_in(module: &Module, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    module.len() >= parts.len() && parts.iter().zip(module).all(|(part, of)| part == of)
}

/// `a::b::X` is within `a` and within `a::b`.
fn is_within(path: &str, other: &str) -> bool {
    path == other || path.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"))
}

fn reaches(path: &str, banned: &str) -> bool {
    match banned.strip_suffix("::") {
        Some(root) => path.len() > root.len() && is_within(path, root),
        None => is_within(path, banned),
    }
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}
