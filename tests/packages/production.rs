//! The README's section "In production", from the package to the alert: its commands, in order, in a real systemd that at first has
//! only Debian's Prometheus.

use std::fs;

use crate::debian::package;
use crate::podman::{Container, Store};
use crate::root;
use crate::shop::wait_until;
use crate::tools::{ok, output, project, text};

/// The commands of that section.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let section = readme.split("\n## In production\n").nth(1).expect("the section").split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

fn shell(host: &Container<'_>, line: &str) -> String {
    text(&output(&mut host.exec(&["sh", "-c", line])))
}

/// What an operator does before a command.
fn prepare(host: &Container<'_>, command: &str) {
    match command {
        // Two shops where the example configuration expects them.
        "systemctl enable --now burdock" => {
            for n in [1, 2] {
                let shop = format!("burdock demo-shop --listen 127.0.0.1:300{n} --id shop-{n}");
                host.ok(&["systemd-run", "--unit", &format!("shop-{n}"), "sh", "-c", &shop]);
            }
        }
        "burdock check" => {
            host.ok(&["sh", "-c", "echo 'keys: [{file: /etc/burdock/keys/2026-11}]' >>/etc/burdock/burdock.yaml"]);
        }
        // Scrapes more often than the example.
        "systemctl restart prometheus" => {
            host.ok(&["sed", "-i", "s/interval: 15s/interval: 1s/", "/etc/prometheus/prometheus.yml"]);
        }
        "systemctl reload burdock" => {
            wait_until("Prometheus sees the servers", || {
                ask_prometheus(host, "query?query=burdock_server_up").contains("shop-2")
            });
            host.ok(&["systemctl", "stop", "shop-2"]);
            wait_until("the alert fires", || ask_prometheus(host, "alerts").contains("BurdockServerDown"));
            host.ok(&["sed", "-i", "s/id: shop-2,/id: shop-2, state: maint,/", "/etc/burdock/burdock.yaml"]);
        }
        _ => {}
    }
}

fn ask_prometheus(host: &Container<'_>, path: &str) -> String {
    shell(host, &format!("curl --silent --max-time 5 'http://127.0.0.1:9090/api/v1/{path}'"))
}

/// Checks the result of a command.
fn verify(host: &Container<'_>, command: &str) {
    match command {
        "burdock ctl status" => {
            let page = shell(host, "curl --silent --show-error http://127.0.0.1:8080/");
            assert!(page.contains("shop-"), "{page}");
        }
        "systemctl reload burdock" => {
            wait_until("the reload is applied", || shell(host, "burdock ctl servers shop").contains("maint"));
        }
        "burdock upgrade" => {
            let state = shell(host, "systemctl is-active burdock; burdock ready && echo well");
            assert_eq!(state, "active\nwell\n");
        }
        "systemctl stop burdock" => assert_eq!(shell(host, "systemctl is-active burdock").trim(), "inactive"),
        _ => {}
    }
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn the_readme_commands_work_from_package_to_alert() {
    let store = Store::open();
    let system = root::with("production", &["systemd", "systemd-sysv", "dbus", "logrotate", "prometheus", "curl"]);
    store.import(&system, "localhost/production", &[]);
    let host = store.start_on("none", &["--systemd", "always"], &["localhost/production", "/sbin/init"]);
    wait_until("systemd is up", || {
        let state = shell(&host, "systemctl is-system-running");
        state.contains("running") || state.contains("degraded")
    });
    host.ok(&["mkdir", "-p", "/root/target/package"]);
    host.write("/root/target/package/burdock_0.0.0-1_any.deb", package());
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "scripts/package") {
        prepare(&host, command);
        ok(&mut host.exec(&["sh", "-c", &format!("cd /root && {command}")]));
        verify(&host, command);
    }
}
