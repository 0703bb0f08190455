//! Why a connection to a server could not be opened, if the reason is a shortage on this host. Such an error says nothing of the server.

use std::error::Error as StdError;
use std::io;

use pingora::Error;
use rustix::io::Errno;

use crate::telemetry::metrics::Shortage;

/// The shortage behind an error. None if the error is about the server or the network.
pub fn of(error: &Error) -> Option<Shortage> {
    let mut cause: &(dyn StdError + 'static) = error.root_cause();
    loop {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return of_io(error);
        }
        cause = cause.source()?;
    }
}

fn of_io(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        // Of the process, or of the host.
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        // All local ports to this destination are in use.
        Errno::ADDRNOTAVAIL => Some(Shortage::Ports),
        Errno::NOBUFS | Errno::NOMEM => Some(Shortage::Memory),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pingora::ErrorType::{ConnectError, InternalError, SocketError};

    use super::*;

    #[test]
    fn only_errors_of_this_host_are_shortages() {
        for (errno, shortage) in [
            (Errno::MFILE, Some(Shortage::Descriptors)),
            (Errno::NFILE, Some(Shortage::Descriptors)),
            (Errno::ADDRNOTAVAIL, Some(Shortage::Ports)),
            (Errno::NOMEM, Some(Shortage::Memory)),
            (Errno::CONNREFUSED, None),
            (Errno::HOSTUNREACH, None),
            (Errno::TIMEDOUT, None),
        ] {
            let socket = Error::because(SocketError, "socket", io::Error::from(errno));
            assert_eq!(of(&Error::because(InternalError, "connect", socket)), shortage, "{errno}");
        }
        assert_eq!(of(&Error::new(ConnectError)), None);
    }
}
