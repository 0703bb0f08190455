//! `ctl top` in a terminal, which `script` (a program of every Debian) provides.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Site, eventually, wait_until};

const ENTERED: &str = "\u{1b}[?1049h";
const LEFT: &str = "\u{1b}[?1049l";

/// A terminal of 110 columns and 30 lines with `ctl top`, and after that the terminal's settings.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(site: &Site) -> Self {
        let program = env!("CARGO_BIN_EXE_burdock");
        let top = format!("{program} ctl --socket {} top --every 1", site.socket().display());
        let script = format!("stty rows 30 cols 110; {top}; code=$?; stty -a; exit $code");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &script, "/dev/null"]).env("TERM", "xterm-256color");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let (writer, mut reader) = (Arc::clone(&output), child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                writer.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let keys = child.stdin.take().unwrap();
        let terminal = Self { child, keys, output };
        terminal.wait_for(ENTERED);
        terminal.wait_for("shop/web-2");
        terminal
    }

    fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    fn wait_for(&self, text: &str) {
        wait_until(&format!("the terminal shows {text:?}"), || self.output().contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses the last key, after which the terminal must be as it was before.
    fn assert_that_it_ends_by(mut self, key: &str) {
        self.press(key);
        let status = eventually("top ends", || self.child.try_wait().unwrap());
        self.wait_for("icanon");
        let output = self.output();
        assert!(status.success() && output.contains(LEFT), "{status}: {output:?}");
        assert!(!output.contains("-icanon") && !output.contains("-echo "), "the terminal is still raw: {output}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_key_in_top_drains_the_selected_server_after_a_confirmation() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, "sticky: cookie");
    let state_of = |server: &str| {
        let answer = running.api().get(&format!("/upstreams/shop/servers/{server}"));
        answer["state"].as_str().unwrap().to_owned()
    };
    let mut terminal = Terminal::open(&site);
    // The second server; "n" refuses.
    terminal.press("jdn");
    terminal.wait_for("nothing changed");
    assert_eq!(state_of("web-2"), "ready");
    terminal.press("d");
    terminal.wait_for("drain shop/web-2?");
    terminal.press("y");
    wait_until("web-2 drains", || state_of("web-2") == "drain");
    terminal.wait_for("shop/web-2: drain");
    assert_eq!(state_of("web-1"), "ready");
    terminal.assert_that_it_ends_by("q");
}

#[test]
fn top_restores_the_terminal_after_ctrl_c_also_when_the_process_is_gone() {
    let site = Site::new();
    let mut running = site.shop(2, "sticky: cookie");
    let terminal = Terminal::open(&site);
    running.kill();
    terminal.wait_for("cannot connect to Burdock");
    terminal.assert_that_it_ends_by("\u{3}");
}
