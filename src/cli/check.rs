//! `burdock check`: everything that can be known to be wrong before a start.

use clap::Args;

use super::{ConfigFile, Ended};
use crate::proxy::{folders, keys};

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
    let name = args.config.path().display();
    let mut wrong: Vec<String> = keys::unreadable(&config.keys).iter().map(ToString::to_string).collect();
    if args.bind {
        wrong.extend(folders::unbindable(&config).iter().map(ToString::to_string));
    }
    if !wrong.is_empty() {
        for error in wrong {
            eprintln!("{name}: {error}");
        }
        return Ended::Misused;
    }
    let pools = &config.plan.pools;
    let servers: usize = pools.iter().map(|pool| pool.upstream.servers.len()).sum();
    eprintln!(
        "{name}: the configuration is right (listeners: {}, upstreams: {}, servers: {servers})",
        config.listeners.len(),
        pools.len()
    );
    Ended::Well
}
