//! The configuration file that several commands read.

use std::path::{Path, PathBuf};

use burdock::config::Config;

use super::ended::Ended;

/// The option that names it.
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

    /// Reads and parses the file; what is wrong with it goes to stderr, all at once.
    pub fn load(&self) -> Result<Config, Ended> {
        self.load_or(|_| {})
    }

    /// The same; what is wrong is passed to `report`, too.
    pub fn load_or(&self, report: impl FnOnce(&str)) -> Result<Config, Ended> {
        let config = self.read().map_err(|mistakes| {
            report(&mistakes);
            eprintln!("{mistakes}");
            Ended::Misused
        })?;
        for warning in &config.warnings {
            eprintln!("{warning}");
        }
        Ok(config)
    }

    /// Reads and parses the file, or says what is wrong with it.
    fn read(&self) -> Result<Config, String> {
        let name = self.conf.display().to_string();
        let text = std::fs::read_to_string(&self.conf).map_err(|error| format!("burdock: cannot read {name}: {error}"))?;
        Config::parse(&name, &text).map_err(|errors| errors.to_string())
    }
}
