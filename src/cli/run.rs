//! `burdock run`.

use burdock::config::Config;
use clap::Args;

use super::config_file::ConfigFile;
use super::ended::Ended;
use super::{background, check};

/// Starts the balancer
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Go to the background
    #[arg(short, long)]
    daemon: bool,
    /// Only look whether the configuration is right, as `check` does
    #[arg(short, long)]
    test: bool,
}

pub fn run(args: &RunArgs) -> Ended {
    // Whoever has started us to take over from him hears why that will not be.
    let config: Config = match args.config.load_or(crate::process::upgrade::new_process::decline) {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    if args.test {
        return check::verdict(args.config.path(), &config, &[]);
    }
    if args.daemon {
        return background::run(&config, args.config.path());
    }
    match crate::process::start::run(config, args.config.path()) {
        Ok(()) => Ended::Well,
        Err(error) => {
            eprintln!("burdock: {error}");
            Ended::Failed
        }
    }
}
