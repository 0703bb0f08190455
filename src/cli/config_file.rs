//! The configuration file, as an option of several commands.

use std::path::{Path, PathBuf};

use burdock::config::Config;

use super::outcome::Outcome;

/// The option that names the file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(short, long = "conf", value_name = "FILE", default_value = "/etc/burdock/burdock.yaml")]
    conf: PathBuf,
}

impl ConfigFile {
    pub fn path(&self) -> &Path {
        &self.conf
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
        let name = self.conf.display().to_string();
        let text = std::fs::read_to_string(&self.conf).map_err(|error| format!("burdock: cannot read {name}: {error}"))?;
        Config::parse(&name, &text).map_err(|errors| errors.to_string())
    }
}
