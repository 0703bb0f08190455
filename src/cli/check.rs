//! `burdock check`: everything that can be known to be wrong before a start.

use std::path::Path;

use burdock::config::Config;
use clap::Args;

use super::config_file::ConfigFile;
use super::ended::Ended;
use crate::runtime::directories;
use crate::runtime::directories::Unbindable;
use crate::runtime::keys;

/// Checks a configuration: all mistakes at once, each with its line
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Also look whether every address can be listened on, here and now
    #[arg(long)]
    bind: bool,
}

pub fn check(args: &CheckArgs) -> Ended {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    let bound = if args.bind { directories::unbindable(&config, &[]) } else { Vec::new() };
    verdict(args.config.path(), &config, &bound)
}

/// Says what can be known to be wrong beyond the text itself, or that all is right.
pub fn verdict(file: &Path, config: &Config, unbindable: &[Unbindable]) -> Ended {
    let name = file.display();
    let unreadable = keys::unreadable(config);
    unreadable.iter().for_each(|error| eprintln!("{name}: {error}"));
    unbindable.iter().for_each(|error| eprintln!("{name}: {error}"));
    if !unreadable.is_empty() || !unbindable.is_empty() {
        return Ended::Misused;
    }
    let pools = &config.plan.upstreams;
    let servers: usize = pools.iter().map(|pool| pool.upstream.servers.len()).sum();
    let names = match config.plan.lookups().len() {
        0 => String::new(),
        names => format!(", names to look up: {names}"),
    };
    eprintln!(
        "{name}: the configuration is right (listeners: {}, upstreams: {}, servers: {servers}{names})",
        config.listeners.len(),
        pools.len()
    );
    Ended::Well
}
