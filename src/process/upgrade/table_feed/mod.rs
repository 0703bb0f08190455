//! Session tables on their way from one process to the next, over the upgrade's socket: blocks as they stand in files.
//!
//! The running process follows the feeds of all its tables, whether they are stored or not, by a thread of its own:
//!
//! 1. It subscribes to each table, sends the whole of it, and then says that it has sent all.
//! 2. From then on it sends what happens, every millisecond: a client that is sent away here is back there in no time. Where a feed
//!    has lost changes it sends the whole table again.
//! 3. When the new process gets the listening sockets, answers begin to wait for it ([`send::TableFeed::await_changes`]): a client that
//!    learns of a session may go there at once.
//! 4. It ends with the process, or when the new one reads no more. Until it ends, nobody waits longer than he wants to.
//!
//! What the process before this one sends late is put into the tables like any other change, and so goes on to the next.

pub mod receive;
pub mod send;
