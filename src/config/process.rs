//! What concerns the process as a whole: `process`, `access_log` and `keys`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{Hint, Leaf, Read};
use crate::config::schema::scalar::{AbsolutePath, Bool, Int, OrAuto, OrNone};
use crate::config::schema::tree::{Node, Value};
use crate::config::schema::units::{Positive, Size, Span};
use crate::config::values::{AccessLog, LogFormat, LogTarget, Process, Shutdown};
use crate::session::named_secret::SecretSource;

record! {
    "process" => Process {
        /// Threads that serve requests; auto is one for each core.
        threads: OrAuto<Int<NonZeroUsize, 1, 1024>> = "auto",
        /// Whether an idle thread takes over work of a busy one.
        work_stealing: Bool = "true",
        /// Directory of what outlives the process: the key that is made where none is configured.
        state_dir: AbsolutePath = "/var/lib/burdock",
        /// Directory of the pid file and of the socket by which a successor takes over; for Burdock's user alone (0700).
        runtime_dir: AbsolutePath = "/run/burdock",
        /// How the process leaves on SIGTERM.
        shutdown: Shutdown = "{}",
        /// Bytes of the read buffer of each client connection.
        connection_buffer: Size<usize, 1_024, 1_048_576> = "4KiB",
        /// Idle connections to servers that each thread keeps.
        upstream_pool: Int<usize, 1, 65_535> = "128",
        /// How often the configuration file is looked at, to take up what has changed; none: only when asked to.
        watch: OrNone<Positive> = "none",
    }
}

record! {
    "shutdown" => Shutdown {
        /// How long requests are still accepted while /readyz already says no.
        lame_duck: Span = "5s",
        /// How long requests in flight may take after that.
        grace: Span = "60s",
    }
}

record! {
    "access_log" => AccessLog {
        /// stdout, off, or the path of a file, which is reopened on SIGUSR1.
        to: LogTarget = "stdout",
        /// How a line is written.
        format: LogFormat = "text",
    }
}

choice! {
    "a log format" => LogFormat {
        /// For people.
        text => Self::Text,
        /// One object per line.
        json => Self::Json,
    }
}

impl Leaf for LogTarget {
    type Value = Self;
    const EXPECTED: &'static str = "stdout, off or an absolute path";

    fn parse(text: &str) -> Result<Self, Hint> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "off" => Ok(Self::Off),
            "none" | "false" | "no" => Err(Hint::by("write off")),
            path => AbsolutePath::parse(path).map(Self::File).map_err(|_| Hint::unknown()),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"enum": ["stdout", "off"]}, <AbsolutePath as Leaf>::schema()]})
    }
}

/// A place where a key is found; a key itself is refused and not shown.
pub(super) struct Key;

choice! {
    "where to find the key" => SecretSource {
        /// A file that holds the key, as `burdock keys new` writes it.
        file(KeyFile) => Self::File,
        /// An environment variable that holds the key.
        env(KeyVariable) => Self::Env,
    }
}

impl Read for Key {
    type Value = SecretSource;

    fn read(node: &Node, findings: &mut Findings) -> Option<SecretSource> {
        if matches!(node.value, Value::Scalar(..)) {
            let message = "expected where to find the key: {file: …} or {env: …}, found a text";
            findings.fault_with_help(
                node.at,
                message,
                "secrets come from files or the environment, never from the configuration",
            );
            return None;
        }
        SecretSource::read(node, findings)
    }

    fn schema() -> serde_json::Value {
        <SecretSource as Read>::schema()
    }
}

struct KeyFile;

impl Leaf for KeyFile {
    type Value = PathBuf;
    const EXPECTED: &'static str = AbsolutePath::EXPECTED;

    fn parse(text: &str) -> Result<PathBuf, Hint> {
        AbsolutePath::parse(text)
    }

    fn schema() -> serde_json::Value {
        <AbsolutePath as Leaf>::schema()
    }

    fn shown(_: &str) -> String {
        "a text (not shown)".to_owned()
    }
}

struct KeyVariable;

impl Leaf for KeyVariable {
    type Value = String;
    const EXPECTED: &'static str = "the name of an environment variable such as BURDOCK_KEY";

    fn parse(text: &str) -> Result<String, Hint> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let name = begins && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if name { Ok(text.to_owned()) } else { Err(Hint::by("letters, digits and '_', without $")) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
    }

    fn shown(_: &str) -> String {
        "a text (not shown)".to_owned()
    }
}
