//! A request's head: read once, in one pass over its lines, into what every engine needs to know of it.

use super::authority;
use super::canonical;
use super::connection_options::ConnectionOptions;
use super::fault::RequestFault;
use super::fields::{self, Field};
use super::length::{BodyLength, LengthFields, Written};
use super::target::Target;
use super::upgrade::AllowedUpgrades;

/// The version by which a client reads the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    Http10,
    /// 1.1 and later ones of HTTP/1, which promise to understand it (RFC 9110 2.5).
    Http11,
}

/// Whether a head can go on as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    AsReceived,
    /// It means one thing but is written so that readers might differ: [`RequestHead::write`] writes it plainly.
    ToRewrite,
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answerer {
    Server,
    /// This hop: `OPTIONS *`, or a request whose Max-Forwards ends here (RFC 9110 7.6.2).
    Here,
}

/// What becomes of a request's Upgrade header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade {
    /// The request has none that counts; one without `Connection: upgrade` or for a protocol that is not allowed is dropped.
    None,
    Passed,
}

/// A request's head.
#[derive(Debug)]
pub struct RequestHead<'b> {
    pub method: &'b [u8],
    pub target: Target<'b>,
    pub version: Version,
    pub body: BodyLength,
    pub upgrade: Upgrade,
    pub answerer: Answerer,
    pub form: Form,
    pub(super) host: Option<&'b [u8]>,
    pub(super) connection: ConnectionOptions<'b>,
    /// The field lines and the empty line.
    pub(super) lines: &'b [u8],
}

impl<'b> RequestHead<'b> {
    /// Reads a whole head, including its empty line, whose lines all end in CR LF.
    ///
    /// # Errors
    /// Whatever strict readers refuse, or might read in two ways.
    pub fn read(head: &'b [u8], allowed: &AllowedUpgrades) -> Result<Self, RequestFault> {
        let (line, lines) = first_line(head)?;
        let (method, target, version) = request_line(line)?;
        let target = Target::read(method, target)?;
        let mut found = Found::default();
        fields::read(lines, |field| found.add(&field))?;
        let (version, minor) = version;
        found.check_host(&target, version)?;
        found.check_coding(version)?;
        let body = found.lengths.body()?;
        let upgrade = found.upgrade(version, body, allowed);
        let form = found.form(&target, minor, upgrade, allowed, method);
        let answerer = found.answerer(method, &target);
        Ok(Self {
            method,
            target,
            version,
            body,
            upgrade,
            answerer,
            form,
            host: found.host,
            connection: found.connection,
            lines,
        })
    }

    /// Writes the head plainly: the path alone, one Host, one length, one Connection line, and without the headers that belong to
    /// the client's connection.
    pub fn write(&self, allowed: &AllowedUpgrades, out: &mut Vec<u8>) {
        canonical::write(self, allowed, out);
    }
}

/// What the field lines say.
#[derive(Default)]
struct Found<'b> {
    host: Option<&'b [u8]>,
    lengths: LengthFields,
    connection: ConnectionOptions<'b>,
    upgrade: UpgradeLines<'b>,
    max_forwards: Option<&'b [u8]>,
}

/// The Upgrade lines.
#[derive(Default)]
enum UpgradeLines<'b> {
    #[default]
    None,
    One(&'b [u8]),
    Several,
}

impl<'b> Found<'b> {
    /// The length of a name decides which few names it is compared with.
    fn add(&mut self, field: &Field<'b>) -> Result<(), RequestFault> {
        match field.name.len() {
            4 if field.is("host") => return self.add_host(field.value),
            7 if field.is("upgrade") => {
                self.upgrade = match self.upgrade {
                    UpgradeLines::None => UpgradeLines::One(field.value),
                    UpgradeLines::One(_) | UpgradeLines::Several => UpgradeLines::Several,
                };
            }
            10 if field.is("connection") => self.connection.add(field.value),
            12 if field.is("max-forwards") => self.max_forwards = Some(field.value),
            14 if field.is("content-length") => self.lengths.add_length(field.value)?,
            17 if field.is("transfer-encoding") => self.lengths.add_coding(field.value),
            _ => {}
        }
        Ok(())
    }

    fn add_host(&mut self, host: &'b [u8]) -> Result<(), RequestFault> {
        match self.host.replace(host) {
            None => Ok(()),
            Some(_) => Err(RequestFault::HostTwice),
        }
    }

    fn check_host(&self, target: &Target<'_>, version: Version) -> Result<(), RequestFault> {
        match (self.host, target.authority()) {
            (None, _) if version == Version::Http11 => Err(RequestFault::NoHost),
            (Some(host), _) if !authority::is_valid(host) => Err(RequestFault::Host),
            (Some(host), Some(named)) if !authority::are_same(host, named) => Err(RequestFault::HostDiffers),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// HTTP/1.0 has no transfer codings (RFC 9112 6.1).
    fn check_coding(&self, version: Version) -> Result<(), RequestFault> {
        if version == Version::Http10 && self.lengths.has_coding() { Err(RequestFault::Coding) } else { Ok(()) }
    }

    fn upgrade(&self, version: Version, body: BodyLength, allowed: &AllowedUpgrades) -> Upgrade {
        match self.upgrade {
            UpgradeLines::One(value)
                if self.connection.upgrade
                    && version == Version::Http11
                    && body == BodyLength::None
                    && allowed.of(value).next().is_some() =>
            {
                Upgrade::Passed
            }
            UpgradeLines::One(_) | UpgradeLines::None | UpgradeLines::Several => Upgrade::None,
        }
    }

    fn form(&self, target: &Target<'_>, minor: Minor, upgrade: Upgrade, allowed: &AllowedUpgrades, method: &[u8]) -> Form {
        let upgrade_as_is = match (&self.upgrade, upgrade) {
            (UpgradeLines::None, _) => true,
            (UpgradeLines::One(value), Upgrade::Passed) => allowed.of(value).count() == fields::elements(value).count(),
            (UpgradeLines::One(_) | UpgradeLines::Several, _) => false,
        };
        let as_received = minor == Minor::Ours
            && target.authority().is_none()
            && self.lengths.written() == Written::Plainly
            && self.connection.is_plain()
            && upgrade_as_is
            && !(self.max_forwards.is_some() && counts_forwards(method));
        if as_received { Form::AsReceived } else { Form::ToRewrite }
    }

    fn answerer(&self, method: &[u8], target: &Target<'_>) -> Answerer {
        let ends_here = counts_forwards(method) && self.max_forwards == Some(b"0");
        if ends_here || *target == Target::Asterisk { Answerer::Here } else { Answerer::Server }
    }
}

/// Whether Max-Forwards counts for requests of this method (RFC 9110 7.6.2).
pub(super) fn counts_forwards(method: &[u8]) -> bool {
    matches!(method, b"TRACE" | b"OPTIONS")
}

/// Whether the minor version is one that is written here.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Minor {
    Ours,
    Later,
}

fn first_line(head: &[u8]) -> Result<(&[u8], &[u8]), RequestFault> {
    let end = memchr::memchr(b'\n', head).ok_or(RequestFault::RequestLine)?;
    let line = head[..end].strip_suffix(b"\r").ok_or(RequestFault::LineEnd)?;
    Ok((line, &head[end + 1..]))
}

type Line<'b> = (&'b [u8], &'b [u8], (Version, Minor));

/// Method, target and version, each after one space (RFC 9112 3).
fn request_line(line: &[u8]) -> Result<Line<'_>, RequestFault> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(RequestFault::RequestLine);
    };
    if method.is_empty() || target.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(RequestFault::RequestLine);
    }
    Ok((method, target, read_version(version)?))
}

fn read_version(version: &[u8]) -> Result<(Version, Minor), RequestFault> {
    match version {
        b"HTTP/1.1" => Ok((Version::Http11, Minor::Ours)),
        b"HTTP/1.0" => Ok((Version::Http10, Minor::Ours)),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok((Version::Http11, Minor::Later)),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(RequestFault::Version),
        _ => Err(RequestFault::RequestLine),
    }
}

/// Whether a byte may stand in a method (RFC 9110 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
