//! The limit of file descriptors: every connection to a client or a server needs one.

use burdock::config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit, and warns if the configuration may need more.
pub fn raise(config: &Config, threads: usize) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::warn!("cannot raise the limit of open files: {error}");
        return;
    }
    let limit = maximum.unwrap_or(u64::MAX);
    let needed = needed(config, threads);
    if limit < needed {
        log::warn!(
            "the limit of open files is {limit}, but this configuration may need {needed} (two connections per request in flight, \
             and idle connections to servers): raise the hard limit, for example with LimitNOFILE= in the systemd unit"
        );
    }
}

/// Descriptors for listeners, logs and so on, for idle connections to servers, and two per request in flight. A server without
/// `max_conns` counts with 1,000 requests.
fn needed(config: &Config, threads: usize) -> u64 {
    let servers = config.plan.upstreams.iter().flat_map(|sticky| &sticky.upstream.servers);
    let in_flight: u64 = servers.map(|server| server.max_conns.map_or(1_000, |max| u64::from(max.get()))).sum();
    let idle = threads as u64 * config.process.upstream_pool as u64;
    64 + config.listeners.len() as u64 + idle + 2 * in_flight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn need_is_two_descriptors_per_request_plus_idle_connections() {
        let text = "listeners: ['127.0.0.1:1', '127.0.0.1:2']
process: {upstream_pool: 10}
upstreams: {shop: {servers: [{address: '127.0.0.1:3', max_conns: 200}, '127.0.0.1:4']}}";
        let config = Config::parse("test", text).unwrap();
        assert_eq!(needed(&config, 4), 64 + 2 + 4 * 10 + 2 * (200 + 1_000));
    }
}
