//! File descriptors: every client connection needs one, and every connection to a server.

use burdock::config::Config;

/// Raises the soft limit to the hard one, and warns where even that cannot suffice for what is configured.
pub fn raise(config: &Config, threads: usize) {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            return;
        }
    };
    let needed = needed(config, threads);
    if limit < needed {
        log::warn!(
            "the limit of open files is {limit}; what is configured may need {needed} (a connection on each side for every request \
             in flight, and idle ones to servers); raise the hard limit, for instance with LimitNOFILE= in the systemd unit"
        );
    }
}

/// Listeners, logs and the like; the idle connections to servers; and two for each request that servers may have in flight.
/// A server without `max_conns` is counted with 1,000.
fn needed(config: &Config, threads: usize) -> u64 {
    let servers = config.plan.upstreams.iter().flat_map(|pool| &pool.upstream.servers);
    let in_flight: u64 = servers.map(|server| server.max_conns.map_or(1_000, |max| u64::from(max.get()))).sum();
    let idle = threads as u64 * config.process.upstream_pool as u64;
    64 + config.listeners.len() as u64 + idle + 2 * in_flight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_needed_is_two_descriptors_a_request_and_the_idle_connections() {
        let text = "listeners: ['127.0.0.1:1', '127.0.0.1:2']
process: {upstream_pool: 10}
upstreams: {shop: {servers: [{address: '127.0.0.1:3', max_conns: 200}, '127.0.0.1:4']}}";
        let config = Config::parse("test", text).unwrap();
        assert_eq!(needed(&config, 4), 64 + 2 + 4 * 10 + 2 * (200 + 1_000));
    }
}
