//! `burdock man`: the manual pages of all commands, for packages.

use std::path::PathBuf;

use clap::Args;

use super::ended::Ended;

/// Writes the manual pages into a folder
#[derive(Debug, Args)]
pub struct ManArgs {
    folder: PathBuf,
}

pub fn man(args: &ManArgs, command_line: clap::Command) -> Ended {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(command_line, &args.folder));
    match written {
        Ok(()) => Ended::Well,
        Err(error) => {
            eprintln!("burdock: cannot write to {}: {error}", args.folder.display());
            Ended::Failed
        }
    }
}
