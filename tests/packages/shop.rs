//! A customer of the demo shops, who notices when the session is lost.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// An address that no other test uses: each test is a process of its own.
pub fn address() -> Ipv4Addr {
    let process = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 220 + process[1] % 30, process[2], process[3].max(1))
}

pub struct Customer {
    to: SocketAddr,
    cookies: String,
    pub server: String,
}

pub struct Answer {
    pub status: u16,
    text: String,
}

impl Customer {
    /// Logs in, which starts a session on some server.
    pub fn log_in(to: SocketAddr) -> Self {
        let answer = ask(to, "POST /api/login", "", "name=Ann").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        let lines = answer
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("set-cookie: ").or_else(|| line.strip_prefix("Set-Cookie: ")));
        let cookies: Vec<&str> = lines.filter_map(|line| line.split(';').next()).collect();
        Self { to, cookies: cookies.join("; "), server: answer.server() }
    }

    /// Whether the session is still on its server.
    pub fn has_session(&self) -> bool {
        self.has_session_via(self.to)
    }

    /// The same through another Burdock.
    pub fn has_session_via(&self, to: SocketAddr) -> bool {
        self.visit_via(to).is_some_and(|answer| answer.is_of(self))
    }

    pub fn visit(&self) -> Option<Answer> {
        self.visit_via(self.to)
    }

    fn visit_via(&self, to: SocketAddr) -> Option<Answer> {
        ask(to, "GET /api/whoami", &self.cookies, "")
    }
}

impl Answer {
    pub fn is_of(&self, customer: &Customer) -> bool {
        self.status == 200 && self.server() == customer.server && self.text.contains("\"customer\":\"Ann\"")
    }

    pub fn is_elsewhere(&self, customer: &Customer) -> bool {
        self.status == 200 && self.server() != customer.server
    }

    fn server(&self) -> String {
        let after = self.text.split("\"server\":\"").nth(1).unwrap_or_default();
        after.split('"').next().unwrap_or_default().to_owned()
    }
}

/// Returns None if the connection fails.
fn ask(to: SocketAddr, what: &str, cookies: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let cookie = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
    let length = body.len();
    let head =
        format!("{what} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {length}\r\n{cookie}\r\n{body}");
    stream.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, text })
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "timed out waiting: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
