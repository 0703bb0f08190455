//! `burdock check`: finds every error that can be found before a start.

use std::path::PathBuf;

use burdock::config::Config;
use clap::Args;

use super::config_file::ConfigFile;
use super::outcome::Outcome;
use crate::runtime::directories;
use crate::runtime::directories::Unbindable;
use crate::runtime::keys;
use crate::runtime::own_listeners;
use crate::telemetry::access_log;

/// Checks a configuration file and reports all errors at once, each with its line
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock check burdock.yaml
  generate-configuration | burdock check -")]
pub struct CheckArgs {
    /// The configuration file, as with -c
    #[arg(value_name = "FILE", conflicts_with = "conf")]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// Also check that every listening address is available on this host
    #[arg(long)]
    bind: bool,
}

pub fn check(args: &CheckArgs) -> Outcome {
    let file = args.config.or(args.file.as_deref());
    let config = match file.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    let bound = if args.bind { directories::unbindable(&config, &[]) } else { Vec::new() };
    verdict(&file.name(), &config, &bound)
}

/// Reports errors beyond the text of the file, or that there are none.
pub fn verdict(name: &str, config: &Config, unbindable: &[Unbindable]) -> Outcome {
    let unreadable = keys::unreadable(config);
    keys::warnings(config).iter().for_each(|warning| eprintln!("{name}: warning: {warning}"));
    unreadable.iter().for_each(|error| eprintln!("{name}: {error}"));
    unbindable.iter().for_each(|error| eprintln!("{name}: {error}"));
    let loops = own_listeners::among_servers(config);
    loops.iter().for_each(|error| eprintln!("{name}: {error}"));
    let no_log = access_log::check(&config.access_log).err();
    no_log.iter().for_each(|error| eprintln!("{name}: access log: {error}"));
    if !unreadable.is_empty() || !unbindable.is_empty() || !loops.is_empty() || no_log.is_some() {
        return Outcome::UsageError;
    }
    let upstreams = &config.plan.upstreams;
    let servers: usize = upstreams.iter().map(|sticky| sticky.upstream.servers.len()).sum();
    let names = match config.plan.lookups().len() {
        0 => String::new(),
        names => format!(", names to look up: {names}"),
    };
    eprintln!(
        "{name}: configuration OK (listeners: {}, upstreams: {}, servers: {servers}{names})",
        config.listeners.len(),
        upstreams.len()
    );
    Outcome::Success
}
