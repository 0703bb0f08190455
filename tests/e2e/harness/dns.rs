//! A DNS server: dnsmasq, on an address of the site.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Site, wait_until};

const PORT: u16 = 5353;

/// Answers for `internal.` and nothing else. Killed when dropped.
pub struct Dns {
    address: SocketAddr,
    folder: PathBuf,
    child: Option<Child>,
}

impl Dns {
    /// One that does not run yet.
    pub fn new(site: &Site) -> Self {
        Self { address: site.at(PORT), folder: site.dir().to_owned(), child: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer, or answers from now on, with these addresses (as in /etc/hosts) and these further lines of dnsmasq's
    /// configuration.
    pub fn serve(&mut self, hosts: &str, settings: &str) {
        self.stop();
        let file = |name: &str, text: &str| {
            let path = self.folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (hosts, log) = (file("hosts", hosts), self.folder.join("queries"));
        let own = format!(
            "port={PORT}\nlisten-address={}\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\nlocal=/internal/\n\
             addn-hosts={}\nlog-queries\nlog-facility={}\npid-file=\nuser=\n{settings}\n",
            self.address.ip(),
            hosts.display(),
            log.display()
        );
        let conf = file("dnsmasq.conf", &own);
        let mut command = Command::new("dnsmasq");
        command.arg("--keep-in-foreground").arg(format!("--conf-file={}", conf.display())).stdin(Stdio::null());
        self.child = Some(command.spawn().expect("dnsmasq; scripts/install installs it"));
        wait_until("the DNS server listens", || TcpStream::connect(self.address).is_ok());
    }

    /// How often this was asked for by now, such as `[A] app.internal`.
    pub fn asked(&self, what: &str) -> usize {
        let log = fs::read_to_string(self.folder.join("queries")).unwrap_or_default();
        log.lines().filter(|line| line.contains(&format!("query{what} from"))).count()
    }

    /// Nobody answers any more.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop();
    }
}
