//! The time limits of a client connection: until a head is whole, while it is idle, while a body comes, while the client does not
//! read. A timer is set only when the socket makes an operation wait, so most requests set none.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use burdock::config::values::Listener;
use burdock::time::Uptime;
use tokio::time::Sleep;

/// How long a body may be slower than its least rate.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// A timer that is created when it is first needed.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `left` is over; the task is woken then.
    pub fn poll(&mut self, left: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if left.is_zero() {
            return Poll::Ready(());
        }
        self.0.insert(Box::pin(tokio::time::sleep(left))).as_mut().poll(cx)
    }

    /// As [`poll`](Self::poll), but goes on with a timer that is set. When that fires, `left` is asked again.
    pub fn poll_again(&mut self, left: impl Fn() -> Duration, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let sleep = match &mut self.0 {
                Some(sleep) => sleep,
                None => self.0.insert(Box::pin(tokio::time::sleep(left()))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.0 = None;
            if left().is_zero() {
                return Poll::Ready(());
            }
        }
    }

    /// Ready once `limit` has passed since the first call, unless [`stopped`](Self::stop) meanwhile.
    pub fn poll_once(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }

    pub fn stop(&mut self) {
        self.0 = None;
    }
}

/// How fast a request's body comes. Only time in which an engine waits for the client counts.
#[derive(Debug)]
pub struct BodyPace {
    timeout: Duration,
    /// In bytes per second; 0: any.
    min_rate: u64,
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Uptime>,
}

impl BodyPace {
    pub fn new(listener: &Listener) -> Self {
        let (timeout, min_rate) = (listener.body_timeout, listener.min_body_rate);
        Self { timeout, min_rate, bytes: 0, waited: Duration::ZERO, waiting_since: None }
    }

    /// A body begins, or the client was sent something, which it may have waited for.
    pub fn restart(&mut self) {
        self.bytes = 0;
        self.waited = Duration::ZERO;
        self.waiting_since = None;
    }

    /// An engine waits for the client.
    pub fn wait(&mut self, now: Uptime) {
        self.waiting_since.get_or_insert(now);
    }

    pub fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    pub fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The wait is over: something has come.
    pub fn stop_waiting(&mut self, now: Uptime) {
        self.waited += self.waiting_since.take().map_or(Duration::ZERO, |since| now.since(since));
    }

    /// How long the client may still send nothing.
    pub fn left(&self, now: Uptime) -> Duration {
        let waiting = self.waiting_since.map_or(Duration::ZERO, |since| now.since(since));
        let silent = self.timeout.saturating_sub(waiting);
        match self.bytes.checked_div(self.min_rate) {
            Some(seconds) => silent.min(RATE_GRACE.max(Duration::from_secs(seconds)).saturating_sub(self.waited + waiting)),
            None => silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime(Duration::from_secs(seconds))
    }

    /// The seconds that are left at this time.
    fn left(pace: &BodyPace, now: u64) -> u64 {
        pace.left(at(now)).as_secs()
    }

    fn waiting_since_100(min_rate: u64) -> BodyPace {
        let timeout = Duration::from_secs(60);
        BodyPace { timeout, min_rate, bytes: 0, waited: Duration::ZERO, waiting_since: Some(at(100)) }
    }

    #[test]
    fn a_body_may_pause_for_its_timeout() {
        let mut pace = waiting_since_100(0);
        assert_eq!((left(&pace, 100), left(&pace, 159), left(&pace, 160)), (60, 1, 0));
        pace.received(1);
        pace.stop_waiting(at(150));
        pace.wait(at(170));
        assert_eq!(left(&pace, 180), 50);
    }

    #[test]
    fn a_body_below_its_rate_ends_after_a_grace() {
        let mut pace = waiting_since_100(16);
        pace.received(1);
        pace.stop_waiting(at(109));
        pace.wait(at(109));
        assert_eq!((left(&pace, 109), left(&pace, 110)), (1, 0), "one byte in ten seconds");
        pace.received(1600);
        assert_eq!(left(&pace, 109), 60, "what came fast is time for a pause");
        pace.restart();
        pace.wait(at(300));
        assert_eq!(left(&pace, 300), 10, "a client may wait for what it is sent");
    }

    #[test]
    fn time_in_which_nobody_reads_is_not_the_clients() {
        let mut pace = waiting_since_100(16);
        pace.received(16);
        pace.stop_waiting(at(101));
        pace.wait(at(500));
        assert_eq!(left(&pace, 500), 9);
    }
}
