//! The real proxies that people migrate from. Each runs in front of the servers of a site and gives clients its own kind of
//! session. `scripts/install full` installs the programs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use super::{Request, Response, Site, Wire, run, wait_until};

/// The port where a peer listens.
const PORT: u16 = 7000;
/// Relative to the directory where the binary under test was built.
const ENVOY: &str = "envoy/envoy/_bin/envoy";

/// Another proxy in front of the servers `web-1` to `web-3`. Killed when dropped.
pub struct Peer {
    child: Child,
    address: SocketAddr,
    output: PathBuf,
}

impl Peer {
    /// HAProxy with these lines in its backend. The cookie value of `web-N` is `sN`, unless values are `dynamic`.
    pub fn haproxy(site: &Site, lines: &str) -> Self {
        let named = !lines.contains("dynamic");
        let server =
            |n| format!("    server web-{n} $IP:900{n}{}\n", if named { format!(" cookie s{n}") } else { String::new() });
        let config = site.write("haproxy.cfg", &HAPROXY.replace("$SERVERS", &per_server(server)).replace("$LINES", lines));
        Self::start(site, Command::new("haproxy").args(["-db", "-f"]).arg(config))
    }

    /// HAProxy in front of a Burdock and other programs, with and without TLS ([`TLS_PORT`]). Each host name maps to its own port
    /// of the site. It forwards the client's scheme.
    pub fn terminator(site: &Site, hosts: &[(&str, u16)]) -> Self {
        let certificate = site.write("edge.pem", "");
        let key = site.path("edge.key");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        run(openssl.args(["-subj", "/CN=edge.test", "-keyout"]).arg(&key).arg("-out").arg(&certificate)).ok();
        let both = [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat();
        fs::write(&certificate, both).unwrap();
        let rules: String = hosts
            .iter()
            .map(|(host, port)| format!("    use_backend b{port} if {{ hdr(host),field(1,:) {host} }}\n"))
            .collect();
        let ports = hosts.iter().map(|(_, port)| port);
        let backends: String = ports.map(|port| format!("backend b{port}\n    server s $IP:{port}\n")).collect();
        let config = TERMINATOR.replace("$RULES", &rules).replace("$FIRST", &hosts[0].1.to_string());
        let config = site.write("terminator.cfg", &(config + &backends));
        Self::start(site, Command::new("haproxy").args(["-db", "-f"]).arg(config))
    }

    /// Caddy with this `lb_policy`.
    pub fn caddy(site: &Site, policy: &str) -> Self {
        let servers = per_server(|n| format!(" $IP:900{n}"));
        let config = site.write("Caddyfile", &CADDY.replace("$SERVERS", &servers).replace("$POLICY", policy));
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            caddy.env(home, site.dir());
        }
        Self::start(site, &mut caddy)
    }

    /// Envoy with this extension for `stateful_session` (`cookie`, `header`, `envelope`), whose message has these fields.
    pub fn envoy(site: &Site, state: &str, message: &str, fields: &str) -> Self {
        let server =
            |n| format!("        - endpoint: {{address: {{socket_address: {{address: $IP, port_value: 900{n}}}}}}}\n");
        let config = ENVOY_CONFIG.replace("$SERVERS", &per_server(server)).replace("$FIELDS", fields);
        let config = site.write("envoy.yaml", &config.replace("$STATE", state).replace("$MESSAGE", message));
        let built = Path::new(env!("CARGO_BIN_EXE_burdock")).ancestors().nth(2).expect("a target directory");
        let quiet = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
        Self::start(site, Command::new(built.join(ENVOY)).args(quiet).arg("-c").arg(config))
    }

    fn start(site: &Site, command: &mut Command) -> Self {
        let output = site.path("peer.log");
        let log = File::create(&output).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/install full installs it"));
        let mut peer = Self { child, address: site.at(PORT), output };
        wait_until("the peer reaches a server", || {
            assert!(peer.child.try_wait().unwrap().is_none(), "the peer did not start");
            peer.try_get().is_some_and(|response| response.status == 200)
        });
        peer
    }

    /// The tokens that new clients get, by server. Sends requests until this many servers have answered.
    pub fn issued_tokens(&self, servers: usize, token_in: impl Fn(&Response) -> Option<String>) -> BTreeMap<String, String> {
        let mut issued = BTreeMap::new();
        wait_until("the peer has issued a token for every server", || {
            let response = self.try_get().expect("a response");
            let value = token_in(&response).unwrap_or_else(|| panic!("the peer issued no token: {response:?}"));
            issued.insert(response.served_by().to_owned(), value);
            issued.len() == servers
        });
        issued
    }

    fn try_get(&self) -> Option<Response> {
        Wire::try_open(self.address).ok()?.try_ask(&Request::get("/")).ok()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("the peer's output:\n{}", fs::read_to_string(&self.output).unwrap_or_default());
        }
    }
}

fn per_server(text: impl Fn(u16) -> String) -> String {
    (1..=3).map(text).collect()
}

const HAPROXY: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend edge
    bind $IP:7000
    default_backend shop
backend shop
    balance roundrobin
    $LINES
$SERVERS";

/// The TLS port of [`Peer::terminator`].
pub const TLS_PORT: u16 = 7443;

const TERMINATOR: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend edge
    bind $IP:7000
    bind $IP:7443 ssl crt $DIR/edge.pem
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
$RULES
    default_backend b$FIRST
";

const CADDY: &str = "
{
    admin off
    auto_https off
}
http://:7000 {
    bind $IP
    reverse_proxy$SERVERS {
        lb_policy $POLICY
    }
}
";

const ENVOY_CONFIG: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: $IP, port_value: 7000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          http_filters:
          - name: envoy.filters.http.stateful_session
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession
              session_state:
                name: envoy.http.stateful_session.$STATE
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.http.stateful_session.$STATE.v3.$MESSAGE
                  $FIELDS
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: shop}}]}
  clusters:
  - name: shop
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: shop
      endpoints:
      - lb_endpoints:
$SERVERS"#;
