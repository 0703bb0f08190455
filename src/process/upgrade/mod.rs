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

pub mod new_process;
pub mod old_process;
pub mod protocol;
mod socket;
pub mod spawn;
pub mod table_feed;
