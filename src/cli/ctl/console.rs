//! Where a command of `ctl` asks and answers: the process on one side, stdout on the other. It knows no command.

use std::io::Write;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{AskError, Client};
use crate::cli::ended::Ended;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    People,
    Json,
}

/// What a command needs to do its work.
pub struct Console {
    pub client: Client,
    pub form: Form,
}

impl Console {
    /// Prints an answer: as it came, or as `people` have it.
    pub fn print<T: DeserializeOwned>(&self, answer: Value, people: impl FnOnce(T) -> String) -> Result<Ended, AskError> {
        match self.form {
            Form::Json => print_out(&format!("{answer:#}\n")),
            Form::People => print_out(&people(read(answer)?)),
        }
        Ok(Ended::Well)
    }
}

/// An answer in its type.
pub fn read<T: DeserializeOwned>(answer: Value) -> Result<T, AskError> {
    serde_json::from_value(answer).map_err(|error| AskError::Unclear(error.to_string()))
}

/// To stdout. Whoever reads it may have seen enough (`| head`).
pub fn print_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
