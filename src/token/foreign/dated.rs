//! `NAME|LAST|FIRST`: a server's name, when the session was last seen, and when it began; either date may be missing. HAProxy and
//! Tengine use this form with different date encodings.

use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

/// Splits a value into name and stamps. If a date that is present cannot be read, there are no stamps.
pub(crate) fn split(value: &[u8], date: fn(&[u8]) -> Option<UnixSeconds>) -> (&[u8], Option<Stamps>) {
    let mut parts = value.splitn(3, |&byte| byte == b'|');
    let mut next = || parts.next().unwrap_or_default();
    let (name, last, first) = (next(), next(), next());
    (name, stamps(last, first, date))
}

fn stamps(last: &[u8], first: &[u8], date: fn(&[u8]) -> Option<UnixSeconds>) -> Option<Stamps> {
    let seen = date(last)?;
    let issued = if first.is_empty() { seen } else { date(first)? };
    Some(Stamps { issued, seen })
}
