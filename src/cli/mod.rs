//! The command line: one file per command. Exit codes: 0 for success, 2 for bad usage or configuration, 1 for the rest.

mod background;
mod check;
mod ctl;
mod demo;
mod explain;
mod keys;
mod man;
mod ready;
mod run;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burdock::config::Config;
use clap::{CommandFactory, Parser, Subcommand};

/// Keeps each client on the server that holds its session.
#[derive(Debug, Parser)]
#[command(
    name = "burdock",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  burdock check -c burdock.yaml         look for mistakes before anybody else does
  burdock run -c burdock.yaml           start
  burdock explain -c burdock.yaml https://shop.example.com/cart
                                        say where such a request would go, and why
  burdock ctl status                    what is going on in the one that runs
  burdock demo                          three small shops and a balancer, to try it out"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Upgrade(upgrade::UpgradeArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Ctl(ctl::CtlArgs),
    Ready(ready::ReadyArgs),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoShop(demo::DemoShopArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    Well,
    /// Something went wrong that is not the user's writing.
    Failed,
    /// The arguments or the configuration are wrong.
    Misused,
}

/// The configuration option that several commands share.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(short, long = "conf", value_name = "FILE", default_value = "/etc/burdock/burdock.yaml")]
    conf: PathBuf,
}

pub fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Upgrade(args) => upgrade::upgrade(&args),
        Command::Check(args) => check::check(&args),
        Command::Ready(args) => ready::ready(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Ctl(args) => ctl::ctl(&args),
        Command::Keys(command) => keys::keys(&command),
        Command::Demo(args) => demo::demo(&args),
        Command::DemoShop(args) => demo::demo_shop(&args),
        Command::Man(args) => man::man(&args),
    };
    ExitCode::from(match ended {
        Ended::Well => 0,
        Ended::Failed => 1,
        Ended::Misused => 2,
    })
}

/// The command line as a whole.
fn command_line() -> clap::Command {
    Arguments::command()
}

impl ConfigFile {
    pub fn path(&self) -> &Path {
        &self.conf
    }

    /// Reads and parses the file; what is wrong with it goes to stderr, all at once.
    pub fn load(&self) -> Result<Config, Ended> {
        self.load_or(|_| {})
    }

    /// The same; what is wrong is told to somebody else, too.
    fn load_or(&self, tell: impl FnOnce(&str)) -> Result<Config, Ended> {
        let config = self.read().map_err(|mistakes| {
            tell(&mistakes);
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
