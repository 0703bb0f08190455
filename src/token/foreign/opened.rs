//! The result of reading another proxy's token.

use std::borrow::Cow;

use crate::ids::ServerId;
use crate::session::stamps::Stamps;

/// The result of reading another proxy's token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opened<'r, 'v> {
    Server {
        server: &'r ServerId,
        /// None if the value has no readable dates. A date in the future counts as now, as everywhere.
        stamps: Option<Stamps>,
        /// The application's own value, if the token was wrapped around it.
        rest: Option<Cow<'v, [u8]>>,
    },
    /// It has this proxy's form but names none of our servers.
    Stranger { rest: Option<Cow<'v, [u8]>> },
    /// It does not have this proxy's form. This includes a bare server name that is not ours.
    NotMine,
}
