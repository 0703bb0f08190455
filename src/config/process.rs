//! Settings of the whole process: `process`, `access_log` and `keys`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use crate::config::directories::Directories;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{Hint, Leaf, ListOf, Read};
use crate::config::schema::scalar::{AbsolutePath, Bool, Int, OrAuto, OrNone};
use crate::config::schema::tree::{Node, Value};
use crate::config::schema::units::{Positive, Size, Span};
use crate::config::values::{AccessLog, Http1, LogFormat, LogTarget, Process, Shutdown};
use crate::session::named_secret::SecretSource;

record! {
    "process" => struct ProcessText {
        /// Threads that serve requests; auto: one per core.
        threads: OrAuto<Int<NonZeroUsize, 1, 1024>> = "auto",
        /// Whether idle threads take work from busy ones.
        work_stealing: Bool = "true",
        /// Directory for state that outlives the process, such as session tables and the key that is created if none is
        /// configured. The default is /var/lib/burdock for root, and a directory of its own for any other user.
        state_dir: Option<AbsolutePath>,
        /// Directory for the pid file and the sockets, among them the one for upgrades; only for Burdock's user (0700).
        /// The default is /run/burdock for root, and a directory of its own for any other user.
        runtime_dir: Option<AbsolutePath>,
        /// Graceful shutdown on SIGTERM.
        shutdown: Shutdown = "{}",
        /// Size of the read buffer of each client connection.
        connection_buffer: Size<usize, 1_024, 1_048_576> = "4KiB",
        /// Idle connections to servers that each thread keeps.
        upstream_pool: Int<usize, 1, 65_535> = "128",
        /// Which engine serves HTTP/1: pingora, or native, which takes requests without a body and leaves all others to Pingora.
        http1: Http1 = "pingora",
        /// How often the configuration file is checked for changes, which are then reloaded; none: only on request.
        watch: OrNone<Positive> = "none",
    }
}

impl ProcessText {
    pub(super) fn build(self, defaults: &Directories) -> Process {
        Process {
            threads: self.threads,
            work_stealing: self.work_stealing,
            state_dir: self.state_dir.unwrap_or_else(|| defaults.state.clone()),
            runtime_dir: self.runtime_dir.unwrap_or_else(|| defaults.runtime.clone()),
            shutdown: self.shutdown,
            connection_buffer: self.connection_buffer,
            upstream_pool: self.upstream_pool,
            http1: self.http1,
            watch: self.watch,
        }
    }
}

record! {
    "shutdown" => Shutdown {
        /// How long requests are still accepted after /readyz reports that the process is not ready.
        lame_duck: Span = "5s",
        /// How long requests in flight may take after that.
        grace: Span = "60s",
    }
}

record! {
    "access_log" => AccessLog {
        /// stdout, off, or the path of a file, which is reopened on SIGUSR1.
        to: LogTarget = "stdout",
        /// The format of a line.
        format: LogFormat = "text",
    }
}

choice! {
    "an HTTP/1 engine" => Http1 {
        /// Pingora's proxy.
        pingora => Self::Pingora,
        /// Burdock's own engine, where it can.
        native => Self::Native,
    }
}

choice! {
    "a log format" => LogFormat {
        /// Text for people.
        text => Self::Text,
        /// One JSON object per line.
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
            path => AbsolutePath::parse(path).map(Self::File).map_err(|_| Hint::unknown()),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"enum": ["stdout", "off"]}, <AbsolutePath as Leaf>::schema()]})
    }
}

/// Places of keys.
pub(super) struct Keys;

impl Read for Keys {
    type Value = Vec<SecretSource>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        match &node.value {
            // This may be a key, which a message about a list would show.
            Value::Scalar(..) => Key::read(node, findings).map(|key| vec![key]),
            Value::List(_) | Value::Map(_) | Value::Null => ListOf::<Key>::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        ListOf::<Key>::schema()
    }
}

/// Where to find a key. A key itself is refused and not shown.
pub(super) struct Key;

choice! {
    "a key source" => SecretSource {
        /// A file with the key, as written by `burdock keys new`.
        file(KeyFile) => Self::File,
        /// An environment variable with the key.
        env(KeyVariable) => Self::Env,
    }
}

impl Read for Key {
    type Value = SecretSource;

    fn read(node: &Node, findings: &mut Findings) -> Option<SecretSource> {
        if matches!(node.value, Value::Scalar(..)) {
            let message = "expected a key source: {file: …} or {env: …}, found a text";
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
        if name { Ok(text.to_owned()) } else { Err(Hint::by("use letters, digits and '_', without $")) }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
    }

    fn shown(_: &str) -> String {
        "a text (not shown)".to_owned()
    }
}
