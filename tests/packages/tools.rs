//! Commands that must succeed, and where things are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder that outlives the tests.
pub fn kept() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that scripts/install has put into the target folder.
pub fn from_pypi(name: &str) -> PathBuf {
    kept().ancestors().nth(2).unwrap().join(name).join("bin").join(name)
}

/// Nobody else has this until it is dropped.
pub fn lock(name: &str) -> File {
    let file = File::create(kept().join(format!("{name}.lock"))).unwrap();
    file.lock().unwrap();
    file
}

/// A command line, split at spaces.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(project());
    command
}

pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/install full brings it"))
}

/// What it says on both ways.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs it, and gives what it has said.
pub fn ok(command: &mut Command) -> String {
    said(&well(command))
}

/// As [`ok`], and gives its answer alone, without its complaints.
pub fn answer(command: &mut Command) -> String {
    String::from_utf8_lossy(&well(command).stdout).trim().to_owned()
}

fn well(command: &mut Command) -> Output {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    output
}
