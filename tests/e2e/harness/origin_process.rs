//! A server behind Burdock that is a process of its own, so that it can be killed and stopped: this test binary, started
//! anew to do nothing but serve.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{Origin, Reply, signal, wait_until};

const SERVE: &str = "harness::origin_process::serve";
const NAME: &str = "BURDOCK_TEST_ORIGIN_NAME";
const ADDRESS: &str = "BURDOCK_TEST_ORIGIN_ADDRESS";

/// Answers everything with its name, and `/set?LINE` with that Set-Cookie too. Killed when dropped.
pub struct OriginProcess {
    child: Child,
}

impl OriginProcess {
    pub fn start(name: &str, address: SocketAddr) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", SERVE, "--ignored", "--nocapture"])
            .env(NAME, name)
            .env(ADDRESS, address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the origin listens", || TcpStream::connect(address).is_ok());
        Self { child }
    }

    /// SIGKILL: its connections end, and nobody listens there any more.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: connections are still accepted by the kernel, and nothing answers.
    pub fn stop(&self) {
        signal(self.child.id(), "STOP");
    }

    pub fn resume(&self) {
        signal(self.child.id(), "CONT");
    }
}

impl Drop for OriginProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test: what the processes run. It ends with the test that started it, whose end of the pipe closes.
#[test]
#[ignore = "the body of OriginProcess"]
fn serve() {
    let (Ok(name), Ok(address)) = (std::env::var(NAME), std::env::var(ADDRESS)) else {
        return;
    };
    let origin = Origin::start(&name, address.parse().unwrap());
    origin.behave(|request| match request.target().strip_prefix("/set?") {
        Some(line) => Reply::with("Set-Cookie", line),
        None => Reply::status(200),
    });
    let _ = std::io::stdin().read(&mut [0]);
}
