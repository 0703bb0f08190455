//! The zero-downtime upgrade: the running process starts a successor, sends it the session tables over a separate socket, and hands
//! over the listening sockets only when the successor is prepared. A failure before that changes nothing.
//!
//! ```text
//! running process                          successor
//!   starts it                                reads and checks its configuration
//!   hello                       <->          hello
//!   its other state              ->          continues with it
//!   tables, then their changes   ->          fills its own
//!                                            checks its servers
//!                               <-           prepared, and listens for the sockets
//!   closes its journals, hands over the listening sockets; both accept
//!                               <-           serving
//!   stops accepting
//!   changes of tables, servers  <->          changes of tables, servers and overrides
//!   idle: takes no more requests ->          stops sending
//! ```
//!
//! Until the successor serves, any failure ends it, and the running process takes everything back.

pub mod listening_sockets;
pub mod new_process;
pub mod old_process;
mod other_process;
pub mod protocol;
mod socket;
pub mod spawn;
pub mod table_feed;
