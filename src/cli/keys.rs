//! `burdock keys`.

use std::path::PathBuf;

use burdock::token::keys::Key;
use clap::Subcommand;

use super::ended::Ended;
use crate::runtime::keys::write_new;

/// Makes keys that seal tokens
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a new key: to stdout, or to a file that only its owner can read
    New {
        /// The file to make; it must not exist yet
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub fn keys(command: &KeysCommand) -> Ended {
    let KeysCommand::New { file } = command;
    let key = Key::generate(&mut rand::rng());
    let Some(file) = file else {
        #[expect(clippy::print_stdout, reason = "the key is what was asked for")]
        {
            println!("{}", key.to_text());
        }
        return Ended::Well;
    };
    match write_new(file, &key) {
        Ok(()) => {
            eprintln!("key {} is in {}", key.id(), file.display());
            Ended::Well
        }
        Err(error) => {
            eprintln!("burdock: cannot make {}: {error}", file.display());
            Ended::Failed
        }
    }
}
