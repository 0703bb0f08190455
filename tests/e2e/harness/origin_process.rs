//! A server behind Burdock in its own process, so that it can be killed and stopped: this test binary, started a second time
//! only to serve.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{Origin, Reply, signal, wait_until};

const SERVE: &str = "harness::origin_process::serve";
const NAME: &str = "BURDOCK_TEST_ORIGIN_NAME";
const ADDRESS: &str = "BURDOCK_TEST_ORIGIN_ADDRESS";

/// Responds to every request with its name, and to `/set?LINE` also with that Set-Cookie. Killed when dropped.
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

    /// SIGKILL: its connections end, and nothing listens at its address any more.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: the kernel still accepts connections, but nothing responds.
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

/// Not a test: the code that the processes run. It ends with the test that started it, when that end of the pipe closes.
#[test]
#[ignore = "the body of OriginProcess"]
fn serve() {
    let (Ok(name), Ok(address)) = (std::env::var(NAME), std::env::var(ADDRESS)) else {
        return;
    };
    let origin = Origin::start(&name, address.parse().unwrap());
    origin.respond_with(|request| match request.target().strip_prefix("/set?") {
        Some(line) => Reply::with("Set-Cookie", line),
        None => Reply::status(200),
    });
    let _ = std::io::stdin().read(&mut [0]);
}
