//! A server's response head: its status line, and a judgement of its headers: whether its body has one length, and which headers must
//! not go on. Engines that have read the head already use the judgement alone.

use ::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use ::http::{HeaderMap, StatusCode, Version};

use super::fault::RequestFault;
use super::length::{LengthFields, Written};

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseFault {
    #[error("the server's Content-Length is not one number")]
    Length,
    #[error("the server's Transfer-Encoding is not chunked alone")]
    Coding,
    #[error("the server switched to another protocol, which the request did not ask for")]
    Unasked,
}

/// Whether the request asked for another protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    Upgrade,
    Response,
}

/// What must change in a response's head before it goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mend {
    Nothing,
    /// A body that cannot be has no length: both headers go.
    RemoveLengths,
    /// The length, written once.
    Length(u64),
    /// The coding counts: the length goes.
    RemoveLength,
}

/// Judges the headers that frame a final response or a 101.
///
/// # Errors
/// A length that two readers would read differently, a coding that is not ours to take off, or an upgrade that was not asked for
/// (RFC 9110 8.6 and 15.2.2, RFC 9112 6.1).
pub fn judge(status: StatusCode, version: Version, headers: &HeaderMap, asked: Asked) -> Result<Mend, ResponseFault> {
    if status == StatusCode::SWITCHING_PROTOCOLS && asked == Asked::Response {
        return Err(ResponseFault::Unasked);
    }
    let coded = headers.contains_key(TRANSFER_ENCODING);
    if !coded && !headers.contains_key(CONTENT_LENGTH) {
        return Ok(Mend::Nothing);
    }
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return Ok(Mend::RemoveLengths);
    }
    let fields = read(headers).map_err(|_| ResponseFault::Length)?;
    match fields.length() {
        _ if coded && !is_chunked(headers, version) => Err(ResponseFault::Coding),
        Some(_) if coded => Ok(Mend::RemoveLength),
        Some(length) if fields.written() == Written::Otherwise => Ok(Mend::Length(length)),
        Some(_) | None => Ok(Mend::Nothing),
    }
}

/// Status, version, and the field lines with the empty line, of a whole head whose lines all end in CR LF. None if it is not a
/// response of HTTP/1 (RFC 9112 4).
pub fn status_line(head: &[u8]) -> Option<(StatusCode, Version, &[u8])> {
    let end = memchr::memmem::find(head, b"\r\n")?;
    let (line, lines) = (&head[..end], &head[end + 2..]);
    let version = match line.get(..9)? {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        _ => return None,
    };
    let reason = line.get(12..)?;
    let is_separate = reason.is_empty() || reason.starts_with(b" ");
    let status = StatusCode::from_bytes(line.get(9..12)?).ok().filter(|_| is_separate)?;
    Some((status, version, lines))
}

/// The length of a response that [`judge`] has passed.
pub fn length(headers: &HeaderMap) -> Option<u64> {
    read(headers).ok()?.length()
}

fn read(headers: &HeaderMap) -> Result<LengthFields, RequestFault> {
    let mut fields = LengthFields::default();
    headers.get_all(CONTENT_LENGTH).iter().try_for_each(|value| fields.add_length(value.as_bytes()))?;
    Ok(fields)
}

/// Whether `chunked` is the only coding, said once; HTTP/1.0 has none.
fn is_chunked(headers: &HeaderMap, version: Version) -> bool {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let first = lines.next().is_some_and(|value| super::fields::trimmed(value.as_bytes()).eq_ignore_ascii_case(b"chunked"));
    first && lines.next().is_none() && version != Version::HTTP_10
}
