//! `NAME|LAST|FIRST`: a server's name with when the session was last seen and when it began, either of which may be missing.
//! HAProxy and Tengine write it alike but for the digits of a date.

use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

/// Name and stamps of a value. There are none where any that is written cannot be read.
pub(crate) fn split(value: &[u8], date: fn(&[u8]) -> Option<UnixSeconds>) -> (&[u8], Option<Stamps>) {
    let mut parts = value.splitn(3, |&octet| octet == b'|');
    let mut next = || parts.next().unwrap_or_default();
    let (name, last, first) = (next(), next(), next());
    (name, stamps(last, first, date))
}

fn stamps(last: &[u8], first: &[u8], date: fn(&[u8]) -> Option<UnixSeconds>) -> Option<Stamps> {
    let seen = date(last)?;
    let issued = if first.is_empty() { seen } else { date(first)? };
    Some(Stamps { issued, seen })
}
