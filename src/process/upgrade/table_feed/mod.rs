//! Sends session tables from one process to the next over the upgrade's socket, as blocks in the file format.
//!
//! In the running process, one thread subscribes to the feeds of all tables, persistent or not:
//!
//! 1. It subscribes to each table and sends all of it, then reports that all tables are sent.
//! 2. From then on it sends changes every millisecond, because a client may reconnect to the new process at once. If a feed has lost
//!    changes, it sends the whole table again.
//! 3. When the new process gets the listening sockets, responses begin to wait for it ([`send::TableFeed::await_changes`]): a client
//!    that receives a session may use it there at once.
//! 4. It ends with the process, or when the new process stops reading. Every wait for it has a limit.
//!
//! Late changes from the previous process are applied to the tables like any others, and so are passed on to the next process.

pub mod receive;
pub mod send;
