//! Which file of `src` uses which. An arrow is a path, imported or written out, followed through re-exports to the file that
//! defines the item; `mod`, `pub use` and tests make none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::{self, Paths, Visibility};

/// Modules of the program; all others are the library's.
pub const SHELL: &[&str] = &[
    "admin",
    "api",
    "cli",
    "client",
    "cluster",
    "control",
    "demo",
    "discovery",
    "edge",
    "http1",
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

/// A module by its path in its crate, such as `["table", "page"]`. The two crates have no top-level module in common.
pub type Module = Vec<String>;

/// The files of `src`, their paths, and what each uses.
pub struct Graph {
    pub files: BTreeMap<Module, Source>,
    pub arrows: BTreeMap<Module, BTreeSet<Module>>,
}

pub struct Source {
    /// Path under `src/`.
    pub name: String,
    pub paths: Paths,
    pub lines: usize,
}

impl Graph {
    pub fn read() -> Self {
        let files = sources();
        let arrows = files.keys().map(|module| (module.clone(), arrows_of(&files, module))).collect();
        Self { files, arrows }
    }

    pub fn name(&self, module: &Module) -> &str {
        &self.files[module].name
    }

    /// Groups of files that reach each other, largest first.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.arrows.keys().map(|from| (from, self.reached(from))).collect();
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (from, reached) in &reach {
            let back = reached.iter().filter(|to| reach[**to].contains(from));
            let circle: BTreeSet<&str> = back.map(|module| self.name(module)).chain([self.name(from)]).collect();
            if circle.len() > 1 {
                circles.insert(circle.into_iter().collect());
            }
        }
        let mut circles: Vec<_> = circles.into_iter().collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    fn reached<'a>(&'a self, from: &'a Module) -> BTreeSet<&'a Module> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(module) = open.pop() {
            open.extend(self.arrows[module].iter().filter(|next| reached.insert(*next)));
        }
        reached
    }
}

fn sources() -> BTreeMap<Module, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    let source = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (module_of(&name), Source { paths: paths::read(&text), lines: text.lines().count(), name })
    };
    found.iter().filter(|path| !path.ends_with("tests.rs")).map(source).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn module_of(name: &str) -> Module {
    let parts = name.trim_end_matches(".rs").split('/');
    parts.filter(|part| *part != "mod").map(str::to_owned).collect()
}

fn arrows_of(files: &BTreeMap<Module, Source>, module: &Module) -> BTreeSet<Module> {
    let paths = &files[module].paths;
    let imported = paths.imports.iter().filter(|import| import.visibility == Visibility::Private);
    let all = imported.map(|import| &import.path).chain(&paths.written);
    let mut arrows: BTreeSet<Module> = all.filter_map(|path| target(files, module, path)).collect();
    arrows.remove(module);
    arrows
}

/// The file that defines what a path in this module means; None for what lies outside of `src`.
fn target(files: &BTreeMap<Module, Source>, module: &Module, path: &str) -> Option<Module> {
    let absolute = absolute(files, module, path)?;
    follow(files, absolute, 0)
}

/// A path from its crate's root.
fn absolute(files: &BTreeMap<Module, Source>, module: &Module, path: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
    match parts[0].as_str() {
        "crate" | "burdock" => Some(parts[1..].to_vec()),
        "self" => Some([module.as_slice(), &parts[1..]].concat()),
        "super" => {
            let climbed = parts.iter().take_while(|part| *part == "super").count();
            let left = module.len().checked_sub(climbed)?;
            Some([&module[..left], &parts[climbed..]].concat())
        }
        child => {
            let within = [module.as_slice(), &[child.to_owned()]].concat();
            (parts.len() > 1 && files.contains_key(&within)).then(|| [module.as_slice(), &parts].concat())
        }
    }
}

/// The module of the longest beginning of a path, or, where that module only has the next name from elsewhere, the one it
/// comes from.
fn follow(files: &BTreeMap<Module, Source>, path: Vec<String>, depth: usize) -> Option<Module> {
    let length = (1..=path.len()).rev().find(|&length| files.contains_key(&path[..length]))?;
    let (module, rest) = (path[..length].to_vec(), &path[length..]);
    let Some(name) = rest.first().filter(|_| depth < 8) else { return Some(module) };
    let import = files[&module].paths.imports.iter().find(|import| import.name == *name);
    let elsewhere = import.and_then(|import| absolute(files, &module, &import.path));
    match elsewhere {
        Some(path) => follow(files, [path.as_slice(), &rest[1..]].concat(), depth + 1).or(Some(module)),
        // From another crate.
        None if import.is_some() => None,
        None => Some(module),
    }
}
