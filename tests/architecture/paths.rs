//! Reads paths out of Rust text. It knows text, not Rust: a path counts wherever it stands outside comments, strings and
//! `#[cfg(test)]` parts.

/// Stands for `::` while paths are read, so that the single colon of `name: Type` ends a path.
const SEPARATOR: char = '§';

/// The `use` declarations of some code, and all other paths in it.
#[derive(Debug, Default)]
pub struct Paths {
    pub imports: Vec<Import>,
    pub written: Vec<String>,
}

/// One name that a `use` brings in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import {
    pub path: String,
    /// The last part of the path, or what stands behind `as`.
    pub name: String,
    pub visibility: Visibility,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Visibility {
    Private,
    /// `pub use`: a re-export.
    Public,
}

pub fn read(text: &str) -> Paths {
    let code = code_only(text);
    let mut paths = Paths::default();
    let mut rest = code.as_str();
    while let Some((before, visibility, tree, after)) = next_use(rest) {
        paths.written.extend(all(before));
        paths.imports.extend(leaves(tree).into_iter().map(|(path, name)| Import { path, name, visibility }));
        rest = after;
    }
    paths.written.extend(all(rest));
    paths
}

/// What stands before the next `use` declaration, its visibility, its tree, and what follows.
fn next_use(code: &str) -> Option<(&str, Visibility, &str, &str)> {
    let at = code.match_indices("use ").map(|(at, _)| at).find(|&at| begins_item(&code[..at]))?;
    let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
    let visibility = if code[line..at].trim_start().starts_with("pub") { Visibility::Public } else { Visibility::Private };
    let end = at + code[at..].find(';')?;
    Some((&code[..line], visibility, &code[at + 4..end], &code[end + 1..]))
}

/// Whether nothing but a visibility stands before on its line.
fn begins_item(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default().trim();
    line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')'))
}

/// Paths of a `use` tree, groups spelled out, each with the name that it brings in.
fn leaves(tree: &str) -> Vec<(String, String)> {
    let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
    expand(&tree).into_iter().map(|leaf| named(&leaf)).collect()
}

fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let parts = split_outside_braces(group).into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expand(&format!("{}{}", prefix.trim(), part.trim()))).collect()
}

fn split_outside_braces(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

fn named(leaf: &str) -> (String, String) {
    let (path, alias) = leaf.split_once(" as ").map_or((leaf, None), |(path, alias)| (path, Some(alias)));
    let path = path.strip_suffix("::self").unwrap_or(path);
    let last = path.rsplit("::").next().unwrap_or(path);
    (path.to_owned(), alias.unwrap_or(last).to_owned())
}

/// Every `a::b::c` of some code. Macro names keep their `!`.
pub fn all(code: &str) -> Vec<String> {
    let code = code.replace("::", &SEPARATOR.to_string());
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find(is_of_path) {
        let end = rest[start..].find(|c| !is_of_path(c)).map_or(rest.len(), |length| start + length);
        let path = rest[start..end].trim_matches(SEPARATOR).replace(SEPARATOR, "::");
        rest = &rest[end..];
        found.push(if rest.starts_with('!') { format!("{path}!") } else { path });
    }
    found
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == SEPARATOR
}

/// Drops line comments, strings, and everything from `#[cfg(test)]` on: tests come last in a file. A `mod tests;` with that
/// mark may come first.
pub fn code_only(text: &str) -> String {
    let text = text.replace("#[cfg(test)]\nmod tests;", "");
    let text = text.split("#[cfg(test)]").next().unwrap_or(&text);
    let lines = text.lines().map(|line| without_strings(line.split("//").next().unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

fn without_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

#[test]
fn use_groups_are_spelled_out() {
    let code = "use crate::{a::b, c::{self, d as e}};\npub use x::Y;\nfn f(x: std::fs::File) { log::warn!(); super::g() }";
    let paths = read(code);
    let import = |path: &str, name: &str, visibility| Import { path: path.into(), name: name.into(), visibility };
    use Visibility::{Private, Public};
    let expected = [
        import("crate::a::b", "b", Private),
        import("crate::c", "c", Private),
        import("crate::c::d", "e", Private),
        import("x::Y", "Y", Public),
    ];
    assert_eq!(paths.imports, expected);
    for path in ["std::fs::File", "log::warn!", "super::g"] {
        assert!(paths.written.iter().any(|found| found == path), "{path} in {:?}", paths.written);
    }
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let code = code_only("a(\"std::fs\"); // std::env\n#[cfg(test)]\nmod tests { use std::net::TcpStream; }");
    assert_eq!(all(&code), ["a"]);
}
