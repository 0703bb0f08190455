//! `burdock demo`: every line that it prints is true.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::harness::{CommandOutput, Site, burdock, eventually, run, signal};

struct Demo {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The command lines that it suggests.
    lines: Vec<String>,
}

impl Demo {
    fn start(site: &Site) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_burdock")).args(args(site)).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut demo = Self { child, output, lines: Vec::new() };
        let printed = demo.output.by_ref().lines().map(Result::unwrap).take_while(|line| !line.starts_with("Ctrl-C"));
        demo.lines = printed.filter_map(|line| Some(line.strip_prefix("     ")?.to_owned())).collect();
        demo
    }

    /// The line after the next line that contains this word.
    fn line_after(&mut self, word: &str) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(word)), "it did not print {word}");
        lines.next().unwrap()
    }

    fn interrupt(mut self) {
        signal(self.child.id(), "INT");
        let status = eventually("the demo ends", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Demo {
    /// SIGTERM rather than SIGKILL, so that it ends its child processes.
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            signal(self.child.id(), "TERM");
            self.child.wait().unwrap();
        }
    }
}

fn args(site: &Site) -> [String; 5] {
    let (listen, admin) = (site.listen().to_string(), site.admin().to_string());
    ["demo".to_owned(), "--listen".to_owned(), listen, "--admin".to_owned(), admin]
}

fn shell(line: &str) -> CommandOutput {
    run(Command::new("sh").args(["-c", line])).ok()
}

/// The answers of the shops, one per line.
fn answers(line: &str) -> Vec<Value> {
    shell(line).stdout.lines().map(|answer| serde_json::from_str(answer).unwrap()).collect()
}

fn answer(line: &str) -> Value {
    let [answer] = answers(line).try_into().unwrap();
    answer
}

#[test]
fn the_commands_that_the_demo_prints_work_as_described() {
    let site = Site::new();
    let mut demo = Demo::start(&site);
    let [whoami, login, put, cart, kill, after, again, tail, metrics, explain] = demo.lines.clone().try_into().unwrap();

    let mut servers: Vec<_> = answers(&whoami).iter().map(|answer| answer["server"].to_string()).collect();
    servers.sort_unstable();
    assert_eq!(servers, ["\"shop-1\"", "\"shop-2\"", "\"shop-3\""]);

    let first = answer(&login);
    for answer in [answer(&put), answer(&cart)] {
        assert_eq!(answer["server"], first["server"]);
        assert_eq!(answer["cart"], serde_json::json!({"burdock": 1}));
    }

    shell(&kill);
    let restart = demo.line_after(&format!("{} has ended", first["server"].as_str().unwrap()));
    assert!(restart.contains("demo-shop"), "{restart}");
    let (after, again) = (answer(&after), answer(&again));
    assert_ne!(after["server"], first["server"]);
    assert!(after["note"].as_str().unwrap().contains("your cart was lost"), "{after}");
    assert_eq!(again["server"], after["server"]);

    let moved = |line: &Value| line["from"] == first["server"] && line["settled"] == "rewritten";
    eventually("the move is in the access log", || answers(&tail).iter().any(moved).then_some(()));
    assert!(shell(&metrics).stdout.contains("reason=\"hit\""));
    assert!(shell(&explain).stdout.contains("new"));
    demo.interrupt();
}

#[test]
fn the_demo_removes_its_files_and_processes_when_it_ends() {
    let site = Site::new();
    let demo = Demo::start(&site);
    let (_, log) = demo.lines[7].rsplit_once(' ').unwrap();
    let log = std::path::PathBuf::from(log);
    assert!(log.exists());
    demo.interrupt();
    assert!(!log.parent().unwrap().exists());
    for port in [8080, 9180, 9181, 9182, 9183] {
        TcpListener::bind(site.at(port)).unwrap();
    }
}

#[test]
fn an_address_in_use_is_reported_with_its_option() {
    let site = Site::new();
    for (port, option) in [(8080, "--listen"), (9180, "--admin"), (9182, "--port")] {
        let taken = site.at(port);
        let _listener = TcpListener::bind(taken).unwrap();
        let refused = burdock(args(&site));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(&taken.to_string()) && refused.stderr.contains(option), "{refused:?}");
    }
}
