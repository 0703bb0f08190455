//! `burdock run`: starts the balancer.

use burdock::config::Config;
use clap::Args;

use super::config_file::ConfigFile;
use super::outcome::Outcome;
use super::{background, check};

/// Starts the balancer
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Run in the background
    #[arg(short, long)]
    daemon: bool,
    /// Only check the configuration, as `check` does
    #[arg(short, long)]
    test: bool,
}

pub fn run(args: &RunArgs) -> Outcome {
    // In an upgrade, the old process must learn why this one does not start.
    let config: Config = match args.config.load_or(crate::process::upgrade::new_process::decline) {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    if args.test {
        return check::verdict(&args.config.name(), &config, &[]);
    }
    if args.config.is_stdin() {
        eprintln!(
            "burdock: run reads its configuration again at a reload, so it needs a file: write it to one and use -c FILE"
        );
        return Outcome::UsageError;
    }
    if args.daemon {
        return background::run(&config, args.config.path());
    }
    match crate::process::start::run(config, args.config.path()) {
        Ok(()) => Outcome::Success,
        Err(error) => {
            eprintln!("burdock: {error}");
            Outcome::Failure
        }
    }
}
