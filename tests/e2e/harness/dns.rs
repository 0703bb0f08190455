//! A DNS server: dnsmasq, at the site's address.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Site, wait_until};

const PORT: u16 = 5353;

/// Answers for `internal.` and nothing else. Killed when dropped.
pub struct Dns {
    address: SocketAddr,
    directory: PathBuf,
    child: Option<Child>,
}

impl Dns {
    /// A server that is not running yet.
    pub fn new(site: &Site) -> Self {
        Self { address: site.at(PORT), directory: site.dir().to_owned(), child: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts, or restarts, with these addresses (in the format of /etc/hosts) and these additional lines of dnsmasq's
    /// configuration.
    pub fn serve(&mut self, hosts: &str, settings: &str) {
        self.stop();
        let file = |name: &str, text: &str| {
            let path = self.directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (hosts, log) = (file("hosts", hosts), self.directory.join("queries"));
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

    /// How many queries for this it has received, such as `[A] app.internal`.
    pub fn query_count(&self, what: &str) -> usize {
        let log = fs::read_to_string(self.directory.join("queries")).unwrap_or_default();
        log.lines().filter(|line| line.contains(&format!("query{what} from"))).count()
    }

    /// Stops answering.
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
