//! Writes a request's head plainly, so that no reader behind this one can understand it in another way.

use super::connection_options::ConnectionOptions;
use super::fields::{self, Field};
use super::length::BodyLength;
use super::request_head::{RequestHead, Upgrade, Version, counts_forwards};
use super::upgrade::AllowedUpgrades;

/// Which of the lines that may come several times are written already.
#[derive(Default)]
struct Progress {
    connection: bool,
    length: bool,
}

/// Writes the whole head.
pub(super) fn write(head: &RequestHead<'_>, allowed: &AllowedUpgrades, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method);
    out.push(b' ');
    head.target.write(out);
    out.extend_from_slice(match head.version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
    if let (None, Some(authority)) = (head.host, head.target.authority()) {
        line(out, b"Host", authority);
    }
    let nominated = head.connection.nominated();
    let mut progress = Progress::default();
    // The lines were read once without a fault.
    let _ = fields::read(head.lines, |field| {
        write_field(head, &field, &nominated, allowed, &mut progress, out);
        Ok(())
    });
    out.extend_from_slice(b"\r\n");
}

fn write_field(
    head: &RequestHead<'_>,
    field: &Field<'_>,
    nominated: &[Vec<u8>],
    allowed: &AllowedUpgrades,
    progress: &mut Progress,
    out: &mut Vec<u8>,
) {
    match field.name.to_ascii_lowercase().as_slice() {
        b"host" => line(out, field.name, field.value),
        b"connection" => {
            if !std::mem::replace(&mut progress.connection, true)
                && let Some(option) = option(&head.connection, head.upgrade)
            {
                line(out, field.name, option);
            }
        }
        b"content-length" | b"transfer-encoding" => {
            if !std::mem::replace(&mut progress.length, true) {
                write_length(head.body, field.name, out);
            }
        }
        b"upgrade" => {
            if head.upgrade == Upgrade::Passed {
                line(out, field.name, &allowed.of(field.value).collect::<Vec<_>>().join(&b", "[..]));
            }
        }
        b"http2-settings" => {}
        b"max-forwards" if counts_forwards(head.method) => write_forwards(field, out),
        name if nominated.binary_search_by(|other| other.as_slice().cmp(name)).is_ok() => {}
        _ => line(out, field.name, field.value),
    }
}

/// The one option of the Connection line.
fn option(connection: &ConnectionOptions<'_>, upgrade: Upgrade) -> Option<&'static [u8]> {
    match upgrade {
        Upgrade::Passed => Some(b"upgrade"),
        Upgrade::None if connection.close => Some(b"close"),
        Upgrade::None if connection.keep_alive => Some(b"keep-alive"),
        Upgrade::None => None,
    }
}

fn write_length(body: BodyLength, name: &[u8], out: &mut Vec<u8>) {
    match body {
        BodyLength::None => {}
        BodyLength::Known(length) => line(out, name, itoa::Buffer::new().format(length).as_bytes()),
        BodyLength::Chunked => line(out, name, b"chunked"),
    }
}

/// One forward less; a value that is no number is passed on (RFC 9110 7.6.2 leaves it open).
fn write_forwards(field: &Field<'_>, out: &mut Vec<u8>) {
    let count = std::str::from_utf8(field.value).ok().and_then(|text| text.parse::<u32>().ok());
    match count {
        Some(count) => line(out, field.name, itoa::Buffer::new().format(count.saturating_sub(1)).as_bytes()),
        None => line(out, field.name, field.value),
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
