//! The configuration file, as an option of several commands.

use std::io;
use std::path::{Path, PathBuf};

use burdock::config::Config;

use super::outcome::Outcome;
use crate::runtime::directories;

/// The option that names the file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file; `-` reads standard input
    #[arg(short, long = "conf", value_name = "FILE", default_value = "/etc/burdock/burdock.yaml")]
    conf: PathBuf,
}

impl ConfigFile {
    /// The same option with another file.
    pub fn or(&self, file: Option<&Path>) -> Self {
        Self { conf: file.unwrap_or(&self.conf).to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.conf
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        if self.is_stdin() { "standard input".to_owned() } else { self.conf.display().to_string() }
    }

    pub fn is_stdin(&self) -> bool {
        self.conf == Path::new("-")
    }

    /// Reads and parses the file; prints all its errors to stderr.
    pub fn load(&self) -> Result<Config, Outcome> {
        self.load_or(|_| {})
    }

    /// As [`Self::load`]; also passes the errors to `report`.
    pub fn load_or(&self, report: impl FnOnce(&str)) -> Result<Config, Outcome> {
        let config = self.read().map_err(|errors| {
            report(&errors);
            eprintln!("{errors}");
            Outcome::UsageError
        })?;
        for warning in &config.warnings {
            eprintln!("{warning}");
        }
        Ok(config)
    }

    /// Reads and parses the file, or returns its errors as text.
    fn read(&self) -> Result<Config, String> {
        let name = self.name();
        let text = if self.is_stdin() { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(&self.conf) };
        let text = text.map_err(|error| format!("burdock: cannot read {name}: {error}"))?;
        Config::parse_with(&name, &text, directories::defaults()).map_err(|errors| errors.to_string())
    }
}
