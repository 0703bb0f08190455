//! What a value says, of whatever proxy.

use std::borrow::Cow;

use crate::ids::ServerId;
use crate::session::stamps::Stamps;

/// What a value says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opened<'r, 'v> {
    Server {
        server: &'r ServerId,
        /// None where the value has no dates, or none that can be read. One in the future counts as now, as everywhere.
        stamps: Option<Stamps>,
        /// The application's own value, where the token was wrapped around it.
        rest: Option<Cow<'v, [u8]>>,
    },
    /// It looks like this proxy's, and names none of our servers.
    Stranger { rest: Option<Cow<'v, [u8]>> },
    /// Nothing shows that it is this proxy's. So it is with a mere name of a server that is not ours.
    NotMine,
}
