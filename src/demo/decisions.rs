//! The latest decisions from Burdock's access log, for the page. It must not interpret them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of the log's end is read, in bytes.
const TAIL: u64 = 64 * 1024;
/// How many decisions the page shows.
const MAX_SHOWN: usize = 8;

/// Where to find decisions; both may be unknown.
#[derive(Default)]
pub struct Decisions {
    /// Burdock's access log, in its JSON format.
    pub log: Option<PathBuf>,
    /// The address of Burdock's metrics.
    pub metrics: Option<String>,
}

/// One line of the log.
pub struct Decision {
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Decisions {
    /// The latest decisions, newest first, without the page's own requests for them and without other lines.
    pub fn latest(&self) -> Vec<Decision> {
        let tail = self.log.as_deref().map(tail).and_then(Result::ok).unwrap_or_default();
        let decisions = tail.lines().rev().filter_map(Decision::parse);
        decisions.filter(|decision| decision.get("path") != "/decisions").take(MAX_SHOWN).collect()
    }
}

impl Decision {
    fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(|fields| Self { fields })
    }

    /// A field as text; empty if it is missing.
    pub fn get(&self, field: &str) -> String {
        match self.fields.get(field) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_come_newest_first_without_other_lines() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        std::fs::write(&log, "cut off\"}\n{\"path\":\"/\",\"tries\":1}\n{\"path\":\"/decisions\"}\n{\"path\":\"/cart\"}\n")
            .unwrap();
        let decisions = Decisions { log: Some(log), metrics: None }.latest();
        let paths: Vec<_> = decisions.iter().map(|decision| decision.get("path")).collect();
        assert_eq!(paths, ["/cart", "/"]);
        assert_eq!(decisions[1].get("tries"), "1");
        assert_eq!(decisions[1].get("reason"), "");
    }

    #[test]
    fn missing_log_shows_nothing() {
        let decisions = Decisions { log: Some("/nonexistent".into()), metrics: None };
        assert!(decisions.latest().is_empty());
    }
}
