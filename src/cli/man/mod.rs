//! `burdock man`: writes the manual pages of all commands, for packages.

use std::path::PathBuf;

use clap::Args;

use super::outcome::Outcome;

/// Writes the manual pages to a directory
#[derive(Debug, Args)]
pub struct ManArgs {
    directory: PathBuf,
}

pub fn man(args: &ManArgs, command_line: clap::Command) -> Outcome {
    let written =
        std::fs::create_dir_all(&args.directory).and_then(|()| clap_mangen::generate_to(command_line, &args.directory));
    match written {
        Ok(()) => Outcome::Success,
        Err(error) => {
            eprintln!("burdock: cannot write to {}: {error}", args.directory.display());
            Outcome::Failure
        }
    }
}
