//! Notices that a client disconnects while its request waits for a server. Pingora watches the client only while it proxies.
//!
//! Nothing is read, so data that the client has sent stays in the socket, and the end behind it is seen too. Tokio watches the
//! socket already and cannot watch it twice, so one thread watches sockets of waiting requests in an epoll of its own.

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

/// Returns once the peer has closed its sending side or the connection is broken. If the socket cannot be watched, it never
/// returns. The socket must stay open meanwhile.
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

/// Whom to notify when a socket ends, by the token that it is watched under.
type Waiters = Mutex<HashMap<usize, oneshot::Sender<()>, rustc_hash::FxBuildHasher>>;

/// The handle of the watching thread.
struct Watcher {
    registry: Registry,
    waiters: Arc<Waiters>,
    next_token: AtomicUsize,
}

/// A watched socket, until dropped.
struct Watched {
    watcher: &'static Watcher,
    socket: RawFd,
    token: usize,
    ended: oneshot::Receiver<()>,
}

impl Watcher {
    fn start() -> io::Result<Self> {
        let poll = Poll::new()?;
        let (registry, waiters) = (poll.registry().try_clone()?, Arc::<Waiters>::default());
        let notified = Arc::clone(&waiters);
        std::thread::Builder::new().name("hangup".into()).spawn(move || watch(poll, &notified))?;
        Ok(Self { registry, waiters, next_token: AtomicUsize::new(0) })
    }

    fn watch(&'static self, socket: RawFd) -> io::Result<Watched> {
        let token = self.next_token.fetch_add(1, Relaxed);
        let (notify, ended) = oneshot::channel();
        // Inserted first: the registration may notify at once.
        self.waiters.lock().insert(token, notify);
        let registered = self.registry.register(&mut SourceFd(&socket), Token(token), Interest::READABLE);
        if let Err(error) = registered {
            self.waiters.lock().remove(&token);
            return Err(error);
        }
        Ok(Watched { watcher: self, socket, token, ended })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.waiters.lock().remove(&self.token);
        // Cannot fail: the socket is registered and still open.
        let _ = self.watcher.registry.deregister(&mut SourceFd(&self.socket));
    }
}

fn watch(mut poll: Poll, waiters: &Waiters) {
    let mut events = Events::with_capacity(64);
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return log::error!("cannot watch waiting clients for disconnects any more: {error}"),
        }
        for event in events.iter().filter(|event| event.is_read_closed() || event.is_error()) {
            if let Some(waiter) = waiters.lock().remove(&event.token().0) {
                // Fails if the request no longer waits.
                let _ = waiter.send(());
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
    async fn connected_client_is_not_gone_whatever_it_sends() {
        let (mut client, mut server) = pair().await;
        assert!(!is_noticed(&server).await);
        client.write_all(b"more").await.unwrap();
        assert!(!is_noticed(&server).await);
        let mut more = [0; 4];
        server.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
    }

    #[tokio::test]
    async fn end_is_seen_behind_unread_data() {
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
    async fn end_during_the_wait_wakes() {
        let (mut client, server) = pair().await;
        let waiting = tokio::spawn(async move { gone(server.as_raw_fd()).await });
        tokio::task::yield_now().await;
        client.write_all(b"more").await.unwrap();
        tokio::task::yield_now().await;
        drop(client);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn connection_reset_counts_as_gone() {
        let (client, server) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        gone(server.as_raw_fd()).await;
    }

    #[tokio::test]
    async fn unwatchable_socket_is_never_gone() {
        assert!(tokio::time::timeout(Duration::from_millis(50), gone(-1)).await.is_err());
    }
}
