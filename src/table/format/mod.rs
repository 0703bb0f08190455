//! A session table as octets, for files: how snapshots and journals are written and read. It opens no file.
//!
//! A file is a header, then blocks. Numbers are big-endian, checksums are CRC-32 (IEEE).
//!
//! ```text
//! header   magic 8 | version 2 | length of the body 2 | body | checksum of all before it 4
//!   body   key id 8 | length of the table's name 1 | name | whatever later versions add
//! block    length of the payload 4 | checksum of the payload 4 | checksum of these two 4 | payload
//! payload  records: kind 1 | length of the body 1 | body
//!   1      a server: its id. Servers are numbered within their block, from 0
//!   2      a session as it is from now on: fingerprint 16 | server 2 | issued 4 | seen 4 | class 1
//!   3      a session is forgotten: fingerprint 16 | when it was written 4
//! ```
//!
//! - A block tells all servers that its sessions name, since a table's numbers mean nothing elsewhere; so no damage to one
//!   block changes what another says.
//! - Damage within a payload costs that block. Where no block can be made out, the rest of the file is lost: after a crash that
//!   is its torn end.
//! - Records of unknown kinds are skipped, and what follows the known part of a body is ignored: both may grow within a
//!   version. Another version is another format.
//! - A snapshot holds sessions. A journal holds what happened, each time as what is so afterwards: it may be read twice.

mod batch;
mod block;
mod header;
mod load;
mod record;

pub use batch::Batch;
pub use block::{FRAME, MOST, Next, next};
pub use header::{Header, NoHeader};
pub use load::{Loaded, Loader, Precedence};
pub use record::{Record, records};
