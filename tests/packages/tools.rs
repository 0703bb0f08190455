//! Commands that must succeed, and the locations of files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory that outlives the tests.
pub fn cache_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// A program that scripts/install has put into the target directory.
pub fn from_pypi(name: &str) -> PathBuf {
    cache_directory().ancestors().nth(2).unwrap().join(name).join("bin").join(name)
}

/// Locks this name against other tests until the result is dropped.
pub fn lock(name: &str) -> File {
    let file = File::create(cache_directory().join(format!("{name}.lock"))).unwrap();
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
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/install full installs it"))
}

/// What a command wrote to stdout and stderr.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command and returns its stdout and stderr.
pub fn ok(command: &mut Command) -> String {
    text(&run(command))
}

/// As [`ok`], but returns only stdout.
pub fn answer(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout).trim().to_owned()
}

fn run(command: &mut Command) -> Output {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
    output
}
