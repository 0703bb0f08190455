//! One process hands over to the next: the running one starts its successor, gives it the session tables over a socket of our
//! own, and lets the listening sockets go only when it is prepared. Until then whatever goes wrong changes nothing.
//!
//! ```text
//! running process                          successor
//!   starts it                                reads and checks its configuration
//!   hello                       <->          hello
//!   what else it knows           ->          goes on with that
//!   tables, then their changes   ->          fills its own
//!                                            checks its servers
//!                               <-           prepared, and listens for the sockets
//!   closes its journals, gives the listening sockets away (Pingora), accepts on for five seconds
//!                               <-           serving
//!   changes of tables, to its end  ->        takes them in
//! ```

mod handoff;
mod new_process;
mod old_process;
mod protocol;
mod request;
mod spawn;
pub mod table_feed;

pub use crate::process::upgrade::handoff::Estate;
pub use crate::process::upgrade::new_process::{NoPredecessor, Predecessor, Prepared, Taken, decline, fail_at};
pub use crate::process::upgrade::old_process::Giving;
pub use crate::process::upgrade::request::{Answer, Asked, Failed, Timing};
pub use crate::process::upgrade::spawn::Program;

pub use crate::process::upgrade::protocol::{Message, read, send_blocks};

use std::io;
use std::os::unix::net::UnixStream;

use crate::runtime::directories;

/// Names the socket to the successor.
pub const VARIABLE: &str = "BURDOCK_HANDOVER";

/// Makes sure that the process at the other end is of our user.
fn trusted(stream: UnixStream) -> io::Result<UnixStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    stream.set_nonblocking(true)?;
    let stream = tokio::net::UnixStream::from_std(stream)?;
    let (peer, us) = (stream.peer_cred()?.uid(), directories::our_user());
    if peer != us {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the other process is of uid {peer}, not {us}"),
        ));
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}
