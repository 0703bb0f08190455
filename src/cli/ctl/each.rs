//! The same command for several servers.

use super::client::AskError;
use super::console::{Console, read};
use super::server_arg::{ServerArg, resolve};
use super::show;
use crate::api;
use crate::api::upstream::UpstreamList;
use crate::cli::outcome::Outcome;

/// Calls `command` for each server that `args` name, once it is clear that each of them names one. A server that Burdock refuses to
/// change is reported, and the others follow.
pub fn for_each(
    console: &Console,
    args: &[ServerArg],
    command: impl Fn(&ServerArg) -> Result<Outcome, AskError>,
) -> Result<Outcome, AskError> {
    let servers = resolve(args, || all(console))?;
    if let [server] = &*servers {
        return command(server);
    }
    let mut ended = Outcome::Success;
    for server in &servers {
        let outcome = match command(server) {
            Err(AskError::Refused(problem)) => {
                eprint!("{server}: ");
                AskError::Refused(problem).report()
            }
            outcome => outcome?,
        };
        if outcome != Outcome::Success {
            ended = outcome;
        }
    }
    Ok(ended)
}

/// All servers of the process.
pub fn all(console: &Console) -> Result<Vec<ServerArg>, AskError> {
    let list: UpstreamList = read(console.client.get(&api::path(&["upstreams"]))?)?;
    let servers = show::fetch(console, list.upstreams.iter().map(|upstream| &*upstream.name))?;
    Ok(servers.into_iter().map(|server| ServerArg { upstream: server.upstream, server: server.id }).collect())
}
