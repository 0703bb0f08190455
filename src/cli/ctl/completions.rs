//! `completions`: scripts that complete Burdock's command line in a shell.

use clap::{Args, ValueEnum};

use super::console::print_out;
use crate::cli::outcome::Outcome;

/// Prints a shell completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock ctl completions bash > /etc/bash_completion.d/burdock
  burdock ctl completions zsh > ~/.zfunc/_burdock
  burdock ctl completions fish > ~/.config/fish/completions/burdock.fish")]
pub struct CompletionsArgs {
    shell: Shell,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script for `command_line`.
pub fn completions(args: &CompletionsArgs, mut command_line: clap::Command) -> Outcome {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command_line, "burdock", &mut text);
    print_out(&String::from_utf8_lossy(&text));
    Outcome::Success
}
