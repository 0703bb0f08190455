//! The `burdock` program. The commands are in `cli`.

mod admin;
mod api;
mod cli;
mod client;
mod control;
mod demo;
mod discovery;
mod edge;
mod http1;
mod probing;
mod process;
mod proxy;
mod runtime;
mod serve;
mod servers;
mod storage;
mod telemetry;

use std::process::ExitCode;

// Pingora allocates some eighty times per request: a fast allocator saves a fifth of the CPU time, and returns memory after
// connections close.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
