//! A low-level HTTP/1.1 client: tests choose every byte that it sends, and it reads responses as they arrive.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A read or write that takes longer fails.
const IO_TIMEOUT: Duration = Duration::from_secs(20);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    /// Bytes read ahead that do not belong to a response yet.
    ahead: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Wire {
    pub fn open(to: SocketAddr) -> Self {
        Self::try_open(to).unwrap_or_else(|error| panic!("connecting to {to}: {error}"))
    }

    pub fn try_open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IO_TIMEOUT))?;
        stream.set_write_timeout(Some(IO_TIMEOUT))?;
        Ok(Self { stream, ahead: Vec::new() })
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("sending");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request).expect("a response")
    }

    /// Sends a request and reads its final response, skipping informational responses.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Response> {
        self.try_send(&request.bytes())?;
        loop {
            let response = self.try_response(&request.method)?;
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
        }
    }

    /// The next response, with any status, to a request other than HEAD.
    pub fn response(&mut self) -> Response {
        self.try_response("GET").expect("a response")
    }

    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let head = self.head()?;
        let mut response = Response::parse(&head)?;
        response.body = self.body(&response, method)?;
        Ok(response)
    }

    /// Reads up to the end of a header block.
    pub fn head(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.ahead.drain(..end).collect();
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Exactly this many bytes.
    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.more()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Sends nothing more, and still reads.
    pub fn close_sending(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("closing the sending side");
    }

    /// Whether the other end closes within the timeout without sending more bytes.
    pub fn is_closed(&mut self) -> bool {
        let timed_out = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        self.ahead.is_empty() && self.more().is_err_and(|error| !timed_out.contains(&error.kind()))
    }

    /// Whether bytes or the end of the stream can be read without waiting.
    pub fn is_readable(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !self.ahead.is_empty() || peeked.map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |_| true)
    }

    fn body(&mut self, response: &Response, method: &str) -> io::Result<Vec<u8>> {
        if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            return self.chunks();
        }
        match response.header("content-length") {
            Some(length) => self.take(length.parse().map_err(io::Error::other)?),
            None => self.rest(),
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.take(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.extend(self.take(1)?);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut body = std::mem::take(&mut self.ahead);
        self.stream.read_to_end(&mut body)?;
        Ok(body)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.ahead.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// The request as sent, with its own Host or `shop.example.com`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += "Host: shop.example.com\r\n";
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        [text.as_bytes(), &self.body].concat()
    }
}

impl Response {
    /// Parses everything received until the connection closed.
    pub fn parse_all(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a header block");
        let head = Self::parse(&String::from_utf8_lossy(&bytes[..end])).unwrap();
        Self { body: bytes[end + 4..].to_vec(), ..head }
    }

    /// The body, read as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn parse(head: &str) -> io::Result<Self> {
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a response: {head:?}")))?;
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Ok(Self { status, headers: headers.collect(), body: Vec::new() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        self.all("set-cookie")
    }

    /// The name and value of the cookie that a Set-Cookie sets and whose name starts with this prefix.
    pub fn cookie(&self, prefix: &str) -> Option<(&str, &str)> {
        let mut pairs = self.set_cookies().into_iter().filter_map(|line| line.split(';').next()?.split_once('='));
        pairs.find(|(name, _)| name.starts_with(prefix))
    }

    /// The server that responded, by its own header.
    pub fn served_by(&self) -> &str {
        self.header("x-served-by").unwrap_or_else(|| panic!("no server answered: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
