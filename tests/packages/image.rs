//! The image, built from its Dockerfile and run as docker/README.md says. Nothing is pulled: the base images are built here from
//! Debian packages and the toolchain that compiles these tests.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::debian::assert_notices;
use crate::podman::{Container, Store};
use crate::root;
use crate::shop::{Customer, address, wait_until};
use crate::tools::{answer, command, lock, ok, output};

/// Builds the image, or the layers that have changed. Optimization is off because it takes minutes.
pub fn build(store: &Store) {
    store.import(&root::base(), "docker.io/library/debian:bookworm-slim", &[]);
    let tools = root::with("rust", &["ca-certificates", "cmake", "g++", "gcc", "libc6-dev", "make"]);
    let path = "ENV PATH=/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    store.import(&tools, "docker.io/library/rust:1-bookworm", &[path]);
    let _lock = lock("image");
    // The notices are made from the lock file, which names crates for other systems too.
    ok(&mut command("cargo fetch --locked"));
    // The build stage has a tag of its own, or `image prune` would remove it.
    ok(&mut stage(store, "--target build --tag burdock-build"));
    ok(&mut stage(store, "--tag burdock"));
    ok(&mut store.podman("image prune --force"));
    ok(&mut store.podman("volume prune --force"));
}

fn stage(store: &Store, which: &str) -> Command {
    let options = "--quiet --file docker/Dockerfile --format docker --pull=never --network host";
    let arguments = "--build-arg PROFILE=dev --build-arg CARGO_HOME=/cargo --build-arg CARGO_NET_OFFLINE=true";
    let mut build = store.podman(&format!("build {options} {arguments} {which}"));
    build.arg("--volume").arg(format!("{}:/toolchain:ro", answer(&mut command("rustc --print sysroot"))));
    build.arg("--volume").arg(format!("{}:/cargo/registry:ro", registry().display()));
    build.arg(".");
    build
}

/// Cargo's cache of the crates that these tests were built from.
fn registry() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo")).join("registry")
}

/// A configuration with two shops and sessions in cookies.
fn site(ip: Ipv4Addr) -> String {
    format!(
        "listeners: ['{ip}:8080']
admin: {{address: '{ip}:9180'}}
process: {{shutdown: {{lame_duck: 200ms, grace: 10s}}}}
upstreams:
  shop:
    servers: [{{id: shop-1, address: '{ip}:3001'}}, {{id: shop-2, address: '{ip}:3002'}}]
    sticky: cookie
    health_check: {{http: {{path: /healthz}}}}
"
    )
}

/// Runs the image as docker/README.md says, with state that outlives the container.
fn run<'a>(store: &'a Store, configuration: &str, state: &str) -> Container<'a> {
    let (configuration, state) =
        (format!("{configuration}:/etc/burdock/burdock.yaml:ro"), format!("{state}:/var/lib/burdock"));
    let options =
        ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "-v", &configuration, "-v", &state];
    let container = store.start(&options, &["burdock"]);
    wait_until("the container is healthy", || output(store.podman("healthcheck run").arg(&container.id)).status.success());
    container
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn the_image_runs_unprivileged_and_its_replacement_keeps_sessions() {
    let store = Store::open();
    build(&store);
    let ip = address();
    let shop = |n: u8| {
        let (at, id) = (format!("{ip}:300{n}"), format!("shop-{n}"));
        store.start(&["--read-only"], &["burdock", "demo-shop", "--listen", &at, "--id", &id])
    };
    let _shops = [shop(1), shop(2)];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("burdock.yaml");
    fs::write(&file, site(ip)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let (file, state) = (file.display().to_string(), format!("state-{}", std::process::id()));

    let first = run(&store, &file, &state);
    assert_eq!(first.ok(&["id", "-u"]).trim(), "10001");
    assert!(!output(&mut first.exec(&["touch", "/etc/burdock/other"])).status.success(), "the root file system is writable");
    assert!(first.ok(&["cat", "/usr/share/doc/burdock/LICENSE"]).contains("Apache License"));
    assert_notices(&first.ok(&["cat", "/usr/share/doc/burdock/THIRD-PARTY-NOTICES"]));
    let refused = output(&mut first.exec(&["burdock", "upgrade"]));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && stderr.contains("replace the container instead"), "{stderr}");
    let customers: Vec<Customer> = (0..8).map(|_| Customer::log_in((ip, 8080).into())).collect();
    assert!(customers.iter().all(Customer::has_session));
    ok(store.podman("stop --time 30").arg(&first.id));
    assert_eq!(answer(store.podman("inspect --format {{.State.ExitCode}}").arg(&first.id)), "0");
    assert!(ok(store.podman("logs").arg(&first.id)).contains("shutting down: not ready from now on"));

    let second = run(&store, &file, &state);
    assert!(customers.iter().all(Customer::has_session));
    drop((first, second));
    ok(store.podman("volume rm").arg(&state));
}
