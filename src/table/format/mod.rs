//! The binary format of session tables in checkpoints (`snapshot.N`) and journals. It opens no file.
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
//!          Between processes that decide about the same sessions, 2 ends with the kind of change 1 | when it was decided 8, and 3
//!          with when it was decided 8; dates are in milliseconds
//! ```
//!
//! - A block contains all servers that its sessions name, because a table's numbers mean nothing elsewhere. So damage to one
//!   block never changes the meaning of another.
//! - Damage within a payload loses that block. Damage to a frame loses the rest of the file: after a crash, that is its torn end.
//! - Records of unknown kinds are skipped, and bytes after the known part of a body are ignored: both may grow within a
//!   version. Another version is a different format.
//! - A checkpoint holds sessions. A journal holds changes, each as the state afterwards, so it may be read twice.

mod batch;
mod block;
mod header;
mod load;
mod record;

pub use batch::Batch;
pub use block::{FRAME, MAX_PAYLOAD, Next, next};
pub use header::{Header, NoHeader};
pub use load::{Loaded, Loader, Precedence};
pub use record::{Record, records};
