//! The containers of docker/compose.yaml, run by podman-compose. Grafana's image cannot be built from Debian packages, so the test
//! only checks that its files exist; Prometheus comes from Debian.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::image;
use crate::podman::Store;
use crate::root;
use crate::shop::{Customer, wait_until};
use crate::tools::{command, from_pypi, ok, output, project, text};

const FILE: &str = "docker/compose.yaml";
/// Lower limits: a user who may not raise limits cannot start a container that asks for more.
const OVERRIDE: &str = "services: {burdock: {ulimits: {nofile: {soft: 8192, hard: 8192}, nproc: {soft: 8192, hard: 8192}}}}";
const PORTS: [&str; 3] = ["BURDOCK_PORT", "BURDOCK_ADMIN_PORT", "PROMETHEUS_PORT"];

struct Compose<'a> {
    store: &'a Store,
    directory: tempfile::TempDir,
    project: String,
    ports: [u16; 3],
}

impl<'a> Compose<'a> {
    fn up(store: &'a Store) -> Self {
        image::build(store);
        let prometheus = root::with("prometheus", &["prometheus"]);
        let lines = ["ENTRYPOINT [\"prometheus\"]", "WORKDIR /prometheus"];
        store.import(&prometheus, "docker.io/prom/prometheus:v3.5.0", &lines);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("override.yaml"), OVERRIDE).unwrap();
        let project = format!("burdock-{}", std::process::id());
        let compose = Self { store, directory, project, ports: free_ports() };
        ok(&mut compose.command("up --detach --no-build burdock shop-1 shop-2 shop-3 prometheus"));
        compose
    }

    fn command(&self, line: &str) -> Command {
        let mut compose = Command::new(from_pypi("podman-compose"));
        compose.current_dir(project()).args(["--project-name", &self.project, "--file", FILE, "--file"]);
        compose.arg(self.directory.path().join("override.yaml")).args(line.split_whitespace());
        compose.envs(PORTS.into_iter().zip(self.ports.map(|port| port.to_string())));
        self.store.with(compose)
    }

    /// Prometheus' answer to a request.
    fn ask_prometheus(&self, path: &str) -> String {
        text(&output(command("curl --silent --max-time 5").arg(format!("http://127.0.0.1:{}{path}", self.ports[2]))))
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        // This also removes the anonymous volumes, which `down` would leave behind.
        let label = format!("label=io.podman.compose.project={}", self.project);
        let ids = text(&output(self.store.podman("ps --all --quiet --filter").arg(label)));
        let _ = self.store.podman("rm --force --time 0 --volumes").args(ids.split_whitespace()).output();
        let _ = self.command("down --volumes --timeout 0").output();
    }
}

fn free_ports() -> [u16; 3] {
    let open = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    open.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
#[ignore = "needs root, debootstrap, podman and podman-compose: scripts/test --full"]
fn the_compose_site_keeps_sessions_across_a_restart_and_is_monitored() {
    let store = Store::open();
    let site = Compose::up(&store);
    let ready = format!("http://127.0.0.1:{}/readyz", site.ports[1]);
    let is_ready = || text(&output(command("curl --silent --max-time 5").arg(&ready))).trim() == "ready";
    wait_until("burdock is ready", is_ready);
    let shop = (Ipv4Addr::LOCALHOST, site.ports[0]).into();
    wait_until("all shops are up", || {
        site.ask_prometheus("/api/v1/query?query=count(burdock_server_up==1)").contains("\"3\"]")
    });
    let customers: Vec<Customer> = (0..9).map(|_| Customer::log_in(shop)).collect();
    assert!(customers.iter().all(Customer::has_session));
    ok(&mut site.command("restart --timeout 30 burdock"));
    wait_until("burdock is ready again", is_ready);
    assert!(customers.iter().all(Customer::has_session));
    let rules = site.ask_prometheus("/api/v1/rules");
    assert!(rules.contains("BurdockServerDown") && !rules.contains("\"health\":\"err\""), "{rules}");
}

#[test]
fn every_file_the_compose_file_mounts_exists() {
    let text = fs::read_to_string(project().join(FILE)).unwrap();
    let mounts = text.lines().filter_map(|line| line.trim().strip_prefix("- .")?.split(':').next());
    let mounts: Vec<&str> = mounts.collect();
    assert!(mounts.len() > 4, "{mounts:?}");
    for mount in mounts {
        assert!(Path::new(&project().join("docker").join(format!(".{mount}"))).exists(), ".{mount} does not exist");
    }
}
