//! The paths of fields, such as `upstreams.shop.servers[1].weight`. Each is stored once, as a step from its parent, so
//! that a location with a path is still `Copy`.

use super::text::quoted;

/// A path, as its number in [`Paths`].
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct PathId(u32);

/// All paths of a file. Number 0 is the whole file.
#[derive(Debug, Default)]
pub(crate) struct Paths(Vec<(PathId, Step)>);

#[derive(Debug)]
enum Step {
    Field(Box<str>),
    Item(usize),
}

impl Paths {
    /// The path of a field of a map.
    pub(crate) fn field(&mut self, parent: PathId, name: &str) -> PathId {
        self.add(parent, Step::Field(name.into()))
    }

    /// The path of an entry of a list, counted from 0.
    pub(crate) fn item(&mut self, parent: PathId, nth: usize) -> PathId {
        self.add(parent, Step::Item(nth))
    }

    fn add(&mut self, parent: PathId, step: Step) -> PathId {
        self.0.push((parent, step));
        PathId(self.0.len() as u32)
    }

    /// The names in a path, without the numbers of list entries.
    pub(crate) fn names(&self, path: PathId) -> Vec<&str> {
        let Some((parent, step)) = self.step(path) else { return Vec::new() };
        let mut names = self.names(*parent);
        if let Step::Field(name) = step {
            names.push(name);
        }
        names
    }

    fn step(&self, path: PathId) -> Option<&(PathId, Step)> {
        (path.0 as usize).checked_sub(1).and_then(|nth| self.0.get(nth))
    }

    /// The path as text; empty for the whole file.
    pub(crate) fn text(&self, path: PathId) -> String {
        let Some((parent, step)) = self.step(path) else { return String::new() };
        let mut text = self.text(*parent);
        match step {
            Step::Item(nth) => text.push_str(&format!("[{nth}]")),
            Step::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&shown(name));
            }
        }
        text
    }
}

/// Quotes a name that could be mistaken for a path.
fn shown(name: &str) -> String {
    const MAX_LENGTH: usize = 64;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.len() <= MAX_LENGTH && name.bytes().all(is_plain) { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_fields_and_entries() {
        let mut paths = Paths::default();
        let mut path = PathId::default();
        assert_eq!(paths.text(path), "");
        for name in ["upstreams", "shop.eu", "servers"] {
            path = paths.field(path, name);
        }
        path = paths.item(path, 1);
        path = paths.field(path, "weight");
        assert_eq!(paths.text(path), "upstreams.\"shop.eu\".servers[1].weight");
        assert_eq!(paths.names(path), ["upstreams", "shop.eu", "servers", "weight"]);
    }
}
