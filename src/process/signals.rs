//! The signals and requests that end or upgrade the process, and waiting for them beside a step of an upgrade. It decides nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::upgrade_request::{UpgradeError, UpgradeRequest};

/// The signals that end or upgrade the process.
pub struct SignalStreams {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    user: Signal,
}

/// A signal or request.
pub enum Event {
    Terminate,
    Interrupt,
    Successor(UpgradeRequest),
}

impl SignalStreams {
    pub fn new() -> std::io::Result<Self> {
        // Without a handler they would end the process until their services are running.
        drop(signal(SignalKind::hangup())?);
        drop(signal(SignalKind::user_defined1())?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user: signal(SignalKind::user_defined2())?,
        })
    }

    pub async fn next(&mut self, requests: &mut mpsc::Receiver<UpgradeRequest>) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Terminate,
            _ = self.interrupt.recv() => Event::Interrupt,
            _ = self.quit.recv() => Event::Successor(UpgradeRequest::default()),
            _ = self.user.recv() => Event::Successor(UpgradeRequest::default()),
            Some(request) = requests.recv() => Event::Successor(request),
        }
    }

    /// Waits for SIGTERM or SIGINT and returns its name.
    pub async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// A step of an upgrade, on a thread that may block.
pub struct Work<T>(pub JoinHandle<Result<T, UpgradeError>>);

/// What comes first: the end of a step, or a signal.
pub enum Outcome<T> {
    Done(Result<T, UpgradeError>),
    Terminated,
    Interrupted,
}

impl<T> Work<T> {
    /// Waits for the end of the step or a signal. Other requests for an upgrade are refused meanwhile.
    pub async fn outcome(
        &mut self,
        signals: &mut SignalStreams,
        requests: &mut mpsc::Receiver<UpgradeRequest>,
    ) -> Outcome<T> {
        loop {
            tokio::select! {
                done = &mut self.0 => {
                    return Outcome::Done(done.unwrap_or_else(|error| Err(UpgradeError::Talk(error.into()))));
                }
                event = signals.next(requests) => match event {
                    Event::Successor(another) => another.refuse(UpgradeError::UnderWay),
                    Event::Terminate => return Outcome::Terminated,
                    Event::Interrupt => return Outcome::Interrupted,
                },
            }
        }
    }
}
