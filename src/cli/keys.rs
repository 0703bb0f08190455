//! `burdock keys`: generates keys.

use std::path::PathBuf;

use burdock::token::keys::Key;
use clap::Subcommand;

use super::outcome::Outcome;
use crate::runtime::keys::write_new;

/// Generates keys that seal tokens
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Generates a key and prints it, or writes it to a file that only its owner can read
    New {
        /// The file to create; it must not exist
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub fn keys(command: &KeysCommand) -> Outcome {
    let KeysCommand::New { file } = command;
    let key = Key::generate(&mut rand::rng());
    let Some(file) = file else {
        #[expect(clippy::print_stdout, reason = "the key is the command's output")]
        {
            println!("{}", *key.to_text());
        }
        return Outcome::Success;
    };
    match write_new(file, &key) {
        Ok(()) => {
            eprintln!("wrote key {} to {}", key.id(), file.display());
            Outcome::Success
        }
        Err(error) => {
            eprintln!("burdock: cannot create {}: {error}", file.display());
            Outcome::Failure
        }
    }
}
