//! A server behind Burdock, in the test's own process. It records each request byte for byte and replies as configured.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::Reply;

type Handler = Arc<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>;

/// Listens until dropped, which frees its port and closes its connections.
pub struct Origin {
    pub name: String,
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct ReceivedRequest {
    /// The request line and headers with the final empty line, one character per byte.
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
    /// The number of earlier requests on its connection.
    pub earlier: usize,
    /// The number of its connection, among all that the origin has accepted.
    pub connection: usize,
}

/// How much of a request an origin reads before it responds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReadMode {
    WholeRequest,
    HeadersOnly,
}

struct Shared {
    name: String,
    read_mode: ReadMode,
    stopping: AtomicBool,
    handler: Mutex<Handler>,
    received: Mutex<Vec<ReceivedRequest>>,
    accepted: AtomicUsize,
    /// Those that are open, by their numbers.
    open: Mutex<BTreeMap<usize, TcpStream>>,
}

impl Origin {
    /// An origin that responds to every request with 200 and its name.
    pub fn start(name: &str, address: SocketAddr) -> Self {
        Self::with(name, address, ReadMode::WholeRequest)
    }

    pub fn with(name: &str, address: SocketAddr, read_mode: ReadMode) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{name} at {address}: {error}"));
        let page: Handler = Arc::new(|_| Reply::status(200));
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            read_mode,
            stopping: AtomicBool::new(false),
            handler: Mutex::new(page),
            received: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let acceptor = thread::spawn(move || serving.accept(&listener));
        Self { name: name.to_owned(), address, shared, acceptor: Some(acceptor) }
    }

    /// Sets how it responds from now on. A health check of `/healthz` gets 200 except after [`Self::fail`].
    pub fn respond_with(&self, handler: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Arc::new(move |request| match request.path() {
            "/healthz" => Reply::status(200),
            _ => handler(request),
        });
    }

    /// Responds to every request with 503 from now on, including health checks.
    pub fn fail(&self) {
        *self.shared.handler.lock().unwrap() = Arc::new(|_| Reply::status(503));
    }

    /// All requests received, except health checks.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.all_received().into_iter().filter(|request| request.path() != "/healthz").collect()
    }

    /// The health checks received.
    pub fn checks(&self) -> Vec<ReceivedRequest> {
        self.all_received().into_iter().filter(|request| request.path() == "/healthz").collect()
    }

    fn all_received(&self) -> Vec<ReceivedRequest> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.open.lock().unwrap().len()
    }

    pub fn is_open(&self, connection: usize) -> bool {
        self.shared.open.lock().unwrap().contains_key(&connection)
    }

    pub fn last(&self) -> ReceivedRequest {
        self.received().pop().unwrap_or_else(|| panic!("{} received nothing", self.name))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for connection in self.shared.open.lock().unwrap().values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = connection else { continue };
            let _ = stream.set_nodelay(true);
            let number = self.accepted.fetch_add(1, Ordering::SeqCst);
            self.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                let _ = shared.serve(&stream, number);
                let _ = stream.shutdown(Shutdown::Both);
                shared.open.lock().unwrap().remove(&number);
            });
        }
    }

    fn serve(&self, mut stream: &TcpStream, connection: usize) -> io::Result<()> {
        let mut ahead = Vec::new();
        for earlier in 0.. {
            let request =
                ReceivedRequest { earlier, connection, ..ReceivedRequest::read(stream, &mut ahead, self.read_mode)? };
            self.received.lock().unwrap().push(request.clone());
            let handler = Arc::clone(&self.handler.lock().unwrap());
            match handler(&request) {
                Reply::Page(page) => stream.write_all(&page.bytes(&self.name, request.method()))?,
                Reply::Raw(bytes) => stream.write_all(&bytes)?,
                Reply::Last(bytes) => return stream.write_all(&bytes),
                Reply::Close => return Ok(()),
                Reply::Silence => loop {
                    thread::park();
                },
                Reply::Echo(bytes) => return echo(stream, &bytes, &ahead),
            }
        }
        Ok(())
    }
}

/// Maps each byte to the character with the same number, so that none is lost or changed.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn echo(mut stream: &TcpStream, first: &[u8], ahead: &[u8]) -> io::Result<()> {
    stream.write_all(first)?;
    stream.write_all(ahead)?;
    io::copy(&mut stream.try_clone()?, &mut stream).map(|_| ())
}

impl ReceivedRequest {
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of all lines of a header, as received.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Reads a request, without its body in [`ReadMode::HeadersOnly`].
    fn read(mut stream: &TcpStream, ahead: &mut Vec<u8>, read_mode: ReadMode) -> io::Result<Self> {
        let end = fill(stream, ahead, |bytes| bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4))?;
        let head: Vec<u8> = ahead.drain(..end).collect();
        let mut request = Self { head: latin1(&head), ..Self::default() };
        if read_mode == ReadMode::HeadersOnly {
            return Ok(request);
        }
        if request.header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        (request.body, request.trailers) = match request.header("content-length") {
            Some(length) => (take(stream, ahead, length.parse().map_err(io::Error::other)?)?, String::new()),
            None if request.header("transfer-encoding").is_some() => chunks(stream, ahead)?,
            None => Default::default(),
        };
        Ok(request)
    }
}

/// A chunked body and its trailers.
fn chunks(stream: &TcpStream, ahead: &mut Vec<u8>) -> io::Result<(Vec<u8>, String)> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(line(stream, ahead)?.trim(), 16).map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        body.extend(take(stream, ahead, size)?);
        take(stream, ahead, 2)?;
    }
    let mut trailers = String::new();
    loop {
        match line(stream, ahead)?.as_str() {
            "\r\n" => return Ok((body, trailers)),
            trailer => trailers += trailer,
        }
    }
}

fn line(stream: &TcpStream, ahead: &mut Vec<u8>) -> io::Result<String> {
    let end = fill(stream, ahead, |bytes| bytes.windows(2).position(|two| two == b"\r\n"))?;
    Ok(String::from_utf8_lossy(&take(stream, ahead, end + 2)?).into_owned())
}

fn take(stream: &TcpStream, ahead: &mut Vec<u8>, count: usize) -> io::Result<Vec<u8>> {
    fill(stream, ahead, |bytes| (bytes.len() >= count).then_some(()))?;
    Ok(ahead.drain(..count).collect())
}

fn fill<T>(mut stream: &TcpStream, ahead: &mut Vec<u8>, done: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
    let mut buffer = [0; 64 * 1024];
    loop {
        if let Some(found) = done(ahead) {
            return Ok(found);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => ahead.extend_from_slice(&buffer[..read]),
        }
    }
}
