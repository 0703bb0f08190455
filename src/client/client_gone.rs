//! Notices that a client goes away while nobody reads from it. Pingora looks only while it proxies; a request that waits for
//! a server would wait on for nobody.
//!
//! Nothing is read, so what the client has sent stays where it is, and its end is seen behind that too. Tokio watches the
//! socket already, and would not do so twice; so one thread watches, in an epoll of its own, those that are asked about.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Returns once the other end of this socket has closed its sending side, or the connection is broken. Where that cannot be
/// watched it never does. The socket must stay open meanwhile.
pub async fn gone(socket: RawFd) {
    let watched = WATCHER.as_ref().ok().and_then(|watcher| watcher.watch(socket).ok());
    let ended = match watched {
        Some(mut watched) => (&mut watched.ended).await.is_ok(),
        None => false,
    };
    if !ended {
        std::future::pending::<()>().await;
    }
}

static WATCHER: LazyLock<io::Result<Watcher>> = LazyLock::new(Watcher::start);

/// Who is told when a socket comes to its end, by the number it is watched under.
type Asking = Mutex<HashMap<usize, oneshot::Sender<()>, rustc_hash::FxBuildHasher>>;

/// The thread that watches.
struct Watcher {
    registry: Registry,
    asking: Arc<Asking>,
    numbers: AtomicUsize,
}

/// A socket that is watched until this is dropped.
struct Watched {
    watcher: &'static Watcher,
    socket: RawFd,
    number: usize,
    ended: oneshot::Receiver<()>,
}

impl Watcher {
    fn start() -> io::Result<Self> {
        let poll = Poll::new()?;
        let (registry, asking) = (poll.registry().try_clone()?, Arc::<Asking>::default());
        let notifying = Arc::clone(&asking);
        std::thread::Builder::new().name("hangup".into()).spawn(move || watch(poll, &notifying))?;
        Ok(Self { registry, asking, numbers: AtomicUsize::new(0) })
    }

    fn watch(&'static self, socket: RawFd) -> io::Result<Watched> {
        let number = self.numbers.fetch_add(1, Relaxed);
        let (notify, ended) = oneshot::channel();
        // Before it is registered, as that may notify at once.
        self.asking.lock().insert(number, notify);
        let registered = self.registry.register(&mut SourceFd(&socket), Token(number), Interest::READABLE);
        if let Err(error) = registered {
            self.asking.lock().remove(&number);
            return Err(error);
        }
        Ok(Watched { watcher: self, socket, number, ended })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.asking.lock().remove(&self.number);
        // It was registered, and is open still.
        let _ = self.watcher.registry.deregister(&mut SourceFd(&self.socket));
    }
}

fn watch(mut poll: Poll, asking: &Asking) {
    let mut events = Events::with_capacity(64);
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return log::error!("cannot see any more which clients go away while they wait: {error}"),
        }
        for event in events.iter().filter(|event| event.is_read_closed() || event.is_error()) {
            if let Some(asking) = asking.lock().remove(&event.token().0) {
                // Who does not want to know any more has left meanwhile.
                let _ = asking.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn is_noticed(socket: &TcpStream) -> bool {
        tokio::time::timeout(Duration::from_millis(50), gone(socket.as_raw_fd())).await.is_ok()
    }

    #[tokio::test]
    async fn a_client_that_is_there_has_not_hung_up_whatever_it_sends() {
        let (mut client, mut server) = pair().await;
        assert!(!is_noticed(&server).await);
        client.write_all(b"more").await.unwrap();
        assert!(!is_noticed(&server).await);
        let mut more = [0; 4];
        server.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
    }

    #[tokio::test]
    async fn an_end_is_seen_before_it_is_waited_for_and_behind_what_was_sent() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"last words").await.unwrap();
        drop(client);
        gone(server.as_raw_fd()).await;
        gone(server.as_raw_fd()).await;
        let mut words = String::new();
        server.read_to_string(&mut words).await.unwrap();
        assert_eq!(words, "last words");
    }

    #[tokio::test]
    async fn an_end_that_comes_while_it_is_waited_for_wakes() {
        let (mut client, server) = pair().await;
        let waiting = tokio::spawn(async move { gone(server.as_raw_fd()).await });
        tokio::task::yield_now().await;
        client.write_all(b"more").await.unwrap();
        tokio::task::yield_now().await;
        drop(client);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_broken_connection_is_an_end() {
        let (client, server) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        gone(server.as_raw_fd()).await;
    }

    #[tokio::test]
    async fn what_cannot_be_watched_is_taken_to_be_there() {
        assert!(tokio::time::timeout(Duration::from_millis(50), gone(-1)).await.is_err());
    }
}
