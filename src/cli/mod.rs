//! The command line: one file per command. The commands share `config_file` and `outcome`.

mod background;
mod check;
mod config_file;
mod ctl;
mod demo;
mod explain;
mod groups;
mod keys;
mod man;
mod outcome;
mod ready;
mod run;
mod upgrade;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use groups::{Group, grouped};

/// The commands by what they are for.
const GROUPS: [Group; 3] = [
    ("Serve", &["run", "upgrade", "ready"]),
    ("Write a configuration", &["check", "explain", "keys", "demo"]),
    ("Operate a running Burdock", &["ctl"]),
];

/// An HTTP load balancer with sticky sessions.
#[derive(Debug, Parser)]
#[command(
    name = "burdock",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  burdock check burdock.yaml            check a configuration
  burdock run -c burdock.yaml           start the balancer
  burdock explain -c burdock.yaml https://shop.example.com/cart
                                        show where a request would go, and why
  burdock ctl status                    show the state of the running balancer
  burdock demo                          try it out with three small shops

Environment:
  RUST_LOG=LEVEL  the level of messages on stderr: error, warn, info (default) or off.
                  debug and trace are compiled out of release builds and show no more than info."
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
    let arguments = match Arguments::from_arg_matches(&command_line().get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let ended = match arguments.command {
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

/// The command line, with commands in groups.
fn command_line() -> clap::Command {
    grouped(Arguments::command(), &GROUPS).mut_subcommand("ctl", |ctl| grouped(ctl, &ctl::GROUPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command_in_a_group() {
        let mut command = command_line();
        let help = command.render_help().to_string();
        assert!(help.contains("Operate a running Burdock:\n  ctl") && !help.contains("Other commands"), "{help}");
        assert!(help.contains("trace are compiled out"), "{help}");
        let help = command.find_subcommand_mut("ctl").unwrap().render_help().to_string();
        assert!(help.contains("Change servers:\n  ready") && !help.contains("Other commands"), "{help}");
    }
}
