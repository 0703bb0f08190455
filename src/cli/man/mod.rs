//! `burdock man`: writes the manual pages of all commands and of the configuration, for packages.

mod configuration;

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::outcome::Outcome;

/// Writes the manual pages to a directory
#[derive(Debug, Args)]
pub struct ManArgs {
    directory: PathBuf,
}

pub fn man(args: &ManArgs, command_line: clap::Command) -> Outcome {
    match write(&args.directory, command_line) {
        Ok(()) => Outcome::Success,
        Err(error) => {
            eprintln!("burdock: cannot write to {}: {error}", args.directory.display());
            Outcome::Failure
        }
    }
}

fn write(directory: &Path, command_line: clap::Command) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command_line, directory)?;
    std::fs::write(directory.join("burdock.yaml.5"), configuration::page())
}
