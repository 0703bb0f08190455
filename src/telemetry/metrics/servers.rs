//! The series of servers: gauges that are taken when metrics are read, and the end of a server's series.

use burdock::balancer::StickyUpstream;
use burdock::time::Now;
use burdock::upstream::answer_counts::StatusClass;
use burdock::upstream::health::{Condition, Health};
use burdock::upstream::server::Server;
use burdock::upstream::spec::Admin;

use super::families::ServerFamilies;
use super::tables::raise;

const TIES: [&str; 3] = ["tied", "new", "moved"];
const KEPT: [&str; 2] = ["table", "token"];

impl ServerFamilies {
    /// Sets the gauges of an upstream's servers.
    pub fn take_gauges(&self, sticky: &StickyUpstream, now: Now) {
        let upstream = sticky.upstream();
        let name = upstream.name().as_str();
        for (at, server) in upstream.servers().iter().enumerate() {
            let sessions = sticky.sessions(at, now);
            for (kept, count) in KEPT.into_iter().zip([sessions.learned, sessions.by_token]) {
                if let Some(count) = count {
                    let labels = [name, server.id().as_str(), kept];
                    self.sessions.with_label_values(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
                }
            }
            self.take_server(name, server);
        }
    }

    fn take_server(&self, upstream: &str, server: &Server) {
        let labels = [upstream, server.id().as_str()];
        self.up.with_label_values(&labels).set(i64::from(server.health() == Health::Up));
        self.in_flight.with_label_values(&labels).set(i64::from(server.in_flight()));
        self.weight.with_label_values(&labels).set(i64::from(server.weight()));
        if server.spec().max_conns.is_some() {
            self.queue.with_label_values(&labels).set(i64::from(server.waiting()));
        } else {
            let _ = self.queue.remove_label_values(&labels);
        }
        for class in StatusClass::ALL {
            raise(&self.responses.with_label_values(&[labels[0], labels[1], class.as_str()]), server.answers(class));
        }
        self.take_state(labels, server.spec().admin.as_str());
    }

    /// Only the present state has a series: four for each server would be too many, and a query needs no more.
    fn take_state(&self, [upstream, server]: [&str; 2], state: &str) {
        self.state.with_label_values(&[upstream, server, state]).set(1);
        for other in Admin::NAMES.into_iter().filter(|&other| other != state) {
            let _ = self.state.remove_label_values(&[upstream, server, other]);
        }
    }

    /// Removes every series of a server. A missing series is no error.
    pub fn forget(&self, upstream: &str, server: &str) {
        let counted = TIES.map(|tie| (&self.requests, tie)).into_iter();
        let changes = Condition::ALL.map(|to| (&self.health_changes, to.as_str())).into_iter();
        let classes = StatusClass::ALL.map(|class| (&self.responses, class.as_str())).into_iter();
        for (family, label) in counted.chain(changes).chain(classes) {
            let _ = family.remove_label_values(&[upstream, server, label]);
        }
        let sessions = KEPT.map(|kept| (&self.sessions, kept)).into_iter();
        for (family, label) in sessions.chain(Admin::NAMES.map(|state| (&self.state, state))) {
            let _ = family.remove_label_values(&[upstream, server, label]);
        }
        let _ = self.failures.remove_label_values(&[upstream, server]);
        for gauge in [&self.up, &self.in_flight, &self.queue, &self.weight] {
            let _ = gauge.remove_label_values(&[upstream, server]);
        }
    }
}

#[cfg(test)]
mod tests {
    use burdock::balancer::Balancer;
    use burdock::balancer::reason::TieOutcome;
    use burdock::config::Config;
    use burdock::session::fingerprint_key::FingerprintKey;
    use burdock::time::{UnixSeconds, Uptime};
    use burdock::token::keys::{Key, KeyRing};

    use super::*;
    use crate::runtime::keys;
    use crate::telemetry::metrics::Metrics;

    const NOW: Now = Now {
        wall: UnixSeconds(1_800_000_000),
        subsec_millis: 0,
        uptime: Uptime(std::time::Duration::ZERO),
        skipped: burdock::time::Skipped::NONE,
    };

    fn balancer(server: &str) -> Balancer {
        let text = format!(
            "listeners: ['127.0.0.1:1']\nupstreams: {{shop: {{servers: [{{id: a, address: '127.0.0.1:2', {server}}}], \
             sticky: [{{cookie: {{idle_timeout: 1h}}}}, {{learn: {{create: set_cookie:SID, lookup: cookie:SID}}}}]}}}}\n"
        );
        let config = Config::parse("test.yaml", &text).unwrap();
        let ring = KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
        let secrets = keys::with_keys(ring, FingerprintKey::generate(&mut rand::rng()), &config).unwrap();
        Balancer::new(config.plan, &secrets, None, NOW).unwrap()
    }

    /// The series of server `a` without their family's prefix.
    fn series(metrics: &Metrics, balancer: &Balancer) -> Vec<String> {
        let text = metrics.render(0, NOW, balancer.upstreams().iter().map(std::sync::Arc::as_ref)).unwrap();
        let of_server = text.lines().filter(|line| line.contains("server=\"a\""));
        of_server.map(|line| line.trim_start_matches("burdock_").to_owned()).collect()
    }

    #[test]
    fn only_the_present_state_of_a_server_has_a_series() {
        let metrics = Metrics::new().unwrap();
        for state in ["ready", "drain", "maint", "ready"] {
            let mut states = series(&metrics, &balancer(&format!("state: {state}")));
            states.retain(|line| line.starts_with("server_state"));
            assert_eq!(states, [format!("server_state{{server=\"a\",state=\"{state}\",upstream=\"shop\"}} 1")]);
        }
    }

    #[test]
    fn a_server_that_is_gone_leaves_no_series() {
        let metrics = Metrics::new().unwrap();
        let balancer = balancer("max_conns: 7");
        let spec = balancer.upstreams()[0].upstream().spec().clone();
        let meters = metrics.upstream(&spec);
        meters.servers[0].answered(TieOutcome::New);
        for to in [Condition::Unchecked, Condition::Up, Condition::Draining, Condition::Down, Condition::Ejected] {
            metrics.health_changed(&spec.name, &spec.servers[0].id, to);
        }
        assert_eq!(series(&metrics, &balancer).len(), 21);
        metrics.forget_server(&spec.name, &spec.servers[0].id);
        let text = metrics.render(0, NOW, std::iter::empty()).unwrap();
        assert!(!text.contains("server=\"a\""), "{text}");
    }
}
