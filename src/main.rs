//! The `burdock` program: arguments and exit codes. What the commands do is in `cli`, the proxy itself in `proxy`.

mod admin;
mod api;
mod cli;
mod client;
mod control;
mod demo;
mod discovery;
mod edge;
mod probing;
mod process;
mod proxy;
mod runtime;
mod serve;
mod servers;
mod storage;
mod telemetry;

use std::process::ExitCode;

// Pingora allocates some eighty times for a request: a fast allocator is worth a fifth of the CPU, and gives memory back
// after connections have come and gone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
