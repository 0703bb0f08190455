//! The command line: one file per command. The commands share `config_file` and `outcome`.

mod background;
mod check;
mod config_file;
mod ctl;
mod demo;
mod explain;
mod keys;
mod man;
mod outcome;
mod ready;
mod run;
mod upgrade;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// An HTTP load balancer with sticky sessions.
#[derive(Debug, Parser)]
#[command(
    name = "burdock",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  burdock check -c burdock.yaml         check a configuration
  burdock run -c burdock.yaml           start the balancer
  burdock explain -c burdock.yaml https://shop.example.com/cart
                                        show where a request would go, and why
  burdock ctl status                    show the state of the running balancer
  burdock demo                          try it out with three small shops"
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

pub fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Upgrade(args) => upgrade::upgrade(&args),
        Command::Check(args) => check::check(&args),
        Command::Ready(args) => ready::ready(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Ctl(args) => ctl::ctl(&args, Arguments::command),
        Command::Keys(command) => keys::keys(&command),
        Command::Demo(args) => demo::demo(&args),
        Command::DemoShop(args) => demo::demo_shop(&args),
        Command::Man(args) => man::man(&args, Arguments::command()),
    };
    ended.exit_code()
}
