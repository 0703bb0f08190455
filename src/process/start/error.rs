//! Why the process does not start.

use burdock::balancer::PlanError;

use crate::process::upgrade::new_process::NoPredecessor;
use crate::runtime::admin_socket::AdminSocketError;
use crate::runtime::bearer::TokenError;
use crate::runtime::directories::{Unbindable, Unfit};
use crate::runtime::keys::KeyError;
use crate::runtime::own_listeners;
use crate::runtime::own_listeners::OwnListener;
use crate::servers::peer::PeerError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Directory(#[from] Unfit),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Listen(Vec<Unbindable>),
    #[error("{}", own_listeners::listed(.0))]
    OwnListener(Vec<OwnListener>),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("access log: {0}")]
    AccessLog(std::io::Error),
    #[error("cannot write {}: {error}", .path.display())]
    Pid { path: std::path::PathBuf, error: std::io::Error },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Socket(#[from] AdminSocketError),
    #[error(transparent)]
    Predecessor(#[from] NoPredecessor),
    #[error("cannot find the program that this process runs: {0}")]
    Program(std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
