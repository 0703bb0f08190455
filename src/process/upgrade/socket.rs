//! The socket between the two processes: how the successor finds it, and who may connect.

use std::io;
use std::os::unix::net::UnixStream;

use crate::runtime::directories;

/// The environment variable that names the socket to the successor.
pub const VARIABLE: &str = "BURDOCK_HANDOVER";

/// Checks that the process at the other end runs as the same user.
pub fn trusted(stream: UnixStream) -> io::Result<UnixStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    stream.set_nonblocking(true)?;
    let stream = tokio::net::UnixStream::from_std(stream)?;
    let (peer, us) = (stream.peer_cred()?.uid(), directories::our_user());
    if peer != us {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the other process runs as uid {peer}, not {us}"),
        ));
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}
