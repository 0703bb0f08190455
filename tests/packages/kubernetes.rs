//! The Kubernetes manifests: checked against Kubernetes' schemas and against the configuration in them, and run as containers with
//! the pods' volumes and network. There is no cluster.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use burdock::config::Config;
use serde_yaml::Value;

use crate::image;
use crate::podman::{Container, Store};
use crate::shop::{Customer, wait_until};
use crate::tools::{answer, command, from_pypi, ok, output, project, text};

/// The user and group of the image and of the manifests.
const USER: u32 = 10001;
const SANDBOX: [&str; 7] =
    ["--user", "10001:10001", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"];

fn manifest(file: &str) -> String {
    fs::read_to_string(project().join("deploy/kubernetes").join(file)).unwrap()
}

fn object(file: &str, kind: &str, name: &str) -> Value {
    let text = manifest(file);
    let mut documents = text.split("\n---\n").map(|one| serde_yaml::from_str::<Value>(one).unwrap());
    documents.find(|one| one["kind"] == kind && one["metadata"]["name"] == name).expect("the object")
}

fn configuration() -> String {
    object("burdock.yaml", "ConfigMap", "burdock")["data"]["burdock.yaml"].as_str().unwrap().to_owned()
}

/// The pod of a Deployment or StatefulSet.
fn pod(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

fn hook() -> String {
    let shop = object("shop.yaml", "StatefulSet", "shop");
    let command = &pod(&shop)["containers"][0]["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!((&command[0], &command[1]), (&Value::from("sh"), &Value::from("-c")));
    command[2].as_str().unwrap().to_owned()
}

fn validates(file: &Path) -> bool {
    output(Command::new(from_pypi("kubernetes-validate")).arg("--strict").arg(file)).status.success()
}

#[test]
#[ignore = "needs kubernetes-validate: scripts/test --full"]
fn the_manifests_validate_against_kubernetes_schemas() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["burdock.yaml", "shop.yaml"] {
        assert!(validates(&project().join("deploy/kubernetes").join(file)), "{file}");
        let wrong = directory.path().join(file);
        fs::write(&wrong, manifest(file).replace("readinessProbe:", "readynessProbe:")).unwrap();
        assert!(!validates(&wrong), "the validator accepts a misspelled field in {file}");
    }
}

#[test]
fn the_manifests_agree_with_the_configuration_in_them() {
    let config = Config::parse("burdock.yaml", &configuration()).unwrap();
    let deployment = object("burdock.yaml", "Deployment", "burdock");
    let burdock = pod(&deployment);
    let shutdown = &config.process.shutdown;
    let grace_period = burdock["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!((shutdown.lame_duck + shutdown.grace).as_secs() < grace_period);
    let ports: Vec<u64> = [0, 1].map(|n| burdock["containers"][0]["ports"][n]["containerPort"].as_u64().unwrap()).into();
    let configured = [config.listeners[0].address.port(), config.admin.address.unwrap().port()];
    assert_eq!(ports, configured.map(u64::from));
    let stateful = object("shop.yaml", "StatefulSet", "shop");
    assert!(hook().contains("--deadline 10m") && pod(&stateful)["terminationGracePeriodSeconds"].as_u64() > Some(600));
}

#[test]
fn the_configuration_in_the_manifests_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().display().to_string();
    let file = directory.path().join("burdock.yaml");
    fs::write(&file, configuration().replace("/etc/burdock-secrets", &secrets)).unwrap();
    for name in ["key", "token"] {
        ok(command(env!("CARGO_BIN_EXE_burdock")).args(["keys", "new"]).arg(directory.path().join(name)));
    }
    let report = ok(command(env!("CARGO_BIN_EXE_burdock")).args(["check", "-c"]).arg(&file));
    assert!(report.contains("configuration OK") && !report.contains("warning"), "{report}");
}

/// The pods' volumes, and the network with their names.
struct Cluster<'a> {
    store: &'a Store,
    directory: tempfile::TempDir,
    network: String,
}

impl<'a> Cluster<'a> {
    fn start(store: &'a Store) -> Self {
        image::build(store);
        let cluster =
            Self { store, directory: tempfile::tempdir().unwrap(), network: format!("pods-{}", std::process::id()) };
        fs::set_permissions(cluster.directory.path(), Permissions::from_mode(0o755)).unwrap();
        ok(store.podman("network create").arg(&cluster.network));
        cluster.volume("config", 0o755);
        fs::write(cluster.path("config/burdock.yaml"), configuration()).unwrap();
        cluster.volume("secrets", 0o750);
        for name in ["key", "token"] {
            let file = cluster.path(&format!("secrets/{name}"));
            ok(command(env!("CARGO_BIN_EXE_burdock")).args(["keys", "new", &file]));
            chown_to_group(&file, 0o440);
        }
        cluster.volume("tools", 0o2777);
        cluster.copy_tools();
        cluster
    }

    fn path(&self, within: &str) -> String {
        self.directory.path().join(within).display().to_string()
    }

    /// A volume that belongs to root and is open to the group, as `fsGroup` makes it.
    fn volume(&self, name: &str, mode: u32) {
        fs::create_dir(self.path(name)).unwrap();
        chown_to_group(&self.path(name), mode);
    }

    fn mount(&self, volume: &str, at: &str) -> [String; 2] {
        ["--volume".into(), format!("{}:{at}", self.path(volume))]
    }

    /// Does what the pods' init container does.
    fn copy_tools(&self) {
        let stateful = object("shop.yaml", "StatefulSet", "shop");
        let line = pod(&stateful)["initContainers"][0]["command"].as_sequence().unwrap();
        let words: Vec<&str> = line.iter().map(|word| word.as_str().unwrap()).collect();
        let mut run = self.store.podman("run --rm --pull never --entrypoint");
        run.arg(words[0]).args(SANDBOX).args(self.mount("tools", "/tools"));
        ok(run.arg("burdock").args(&words[1..]));
    }

    fn pod(&self, alias: &str, volumes: &[[String; 2]], arguments: &[&str]) -> Container<'a> {
        let volumes = volumes.iter().flatten().map(String::as_str);
        let options: Vec<&str> = SANDBOX.into_iter().chain(["--network-alias", alias]).chain(volumes).collect();
        self.store.start_on(&self.network, &options, &[&["burdock"], arguments].concat())
    }

    fn burdock(&self, n: u8) -> Container<'a> {
        let (state, run) = (format!("state-{n}"), format!("run-{n}"));
        self.volume(&state, 0o2777);
        self.volume(&run, 0o2777);
        let volumes = [
            self.mount("config", "/etc/burdock"),
            self.mount("secrets", "/etc/burdock-secrets"),
            self.mount(&state, "/var/lib/burdock"),
            self.mount(&run, "/run/burdock"),
        ];
        self.pod("burdock-admin", &volumes, &[])
    }

    fn shop(&self, n: u8) -> Container<'a> {
        let volumes = [self.mount("tools", "/tools"), self.mount("secrets", "/etc/burdock-secrets")];
        self.pod("shop", &volumes, &["demo-shop", "--listen", "0.0.0.0:3000", "--id", &format!("shop-{n}")])
    }

    fn address(&self, container: &Container<'_>) -> Ipv4Addr {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        answer(self.store.podman("inspect --format").args([format, &container.id])).parse().unwrap()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        let _ = self.store.podman("network rm --force --time 0").arg(&self.network).output();
    }
}

fn chown_to_group(path: &str, mode: u32) {
    chown(path, Some(0), Some(USER)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// How many servers are up according to Burdock.
fn up(at: Ipv4Addr) -> usize {
    let metrics = text(&output(command("curl --silent --max-time 5").arg(format!("http://{at}:9180/metrics"))));
    metrics.lines().filter(|line| line.starts_with("burdock_server_up{") && line.ends_with(" 1")).count()
}

/// Runs the preStop hook with a deadline of a few seconds.
fn run_hook(pod: &Container<'_>, address: Ipv4Addr) -> Child {
    let script = format!("POD_IP={address}; {}", hook().replace("10m", "8s"));
    pod.exec(&["sh", "-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn pods_share_sessions_and_all_drain_a_leaving_pod() {
    let store = Store::open();
    let cluster = Cluster::start(&store);
    let shops = [0, 1, 2].map(|n| cluster.shop(n));
    let burdocks = [0, 1].map(|n| cluster.burdock(n));
    let at = burdocks.each_ref().map(|burdock| cluster.address(burdock));
    wait_until("all shops are up", || at.into_iter().all(|burdock| up(burdock) == 3));

    let listener = |n: usize| SocketAddr::from((at[n], 8080));
    let customers: Vec<Customer> = (0..12).map(|n| Customer::log_in(listener(n % 2))).collect();
    let all_have_sessions =
        |of: &[Customer]| of.iter().all(|customer| [0, 1].iter().all(|n| customer.has_session_via(listener(*n))));
    assert!(all_have_sessions(&customers));

    let hook = run_hook(&shops[0], cluster.address(&shops[0]));
    wait_until("both balancers drain the pod", || {
        burdocks
            .iter()
            .all(|burdock| burdock.ok(&["burdock", "ctl", "-c", "/etc/burdock/burdock.yaml", "drains"]).contains("shop@"))
    });
    assert!(all_have_sessions(&customers), "a session was lost before the deadline");
    assert!(
        (0..12).all(|n| Customer::log_in(listener(n % 2)).server != "shop-0"),
        "a new client was sent to the leaving pod"
    );
    let finished = hook.wait_with_output().unwrap();
    assert!(finished.status.success(), "{}", text(&finished));
    let (moved, stayed): (Vec<Customer>, Vec<Customer>) =
        customers.into_iter().partition(|customer| customer.server == "shop-0");
    assert!(!moved.is_empty() && all_have_sessions(&stayed));
    assert!(moved.iter().all(|customer| customer.visit().is_some_and(|answer| answer.is_elsewhere(customer))));
}
