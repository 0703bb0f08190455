//! How long a body is, by Content-Length and Transfer-Encoding (RFC 9112 6). Bytes of header values in, one length or a fault out.

use super::fault::RequestFault;
use super::fields::elements;

/// The end of a request's body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyLength {
    /// No body.
    #[default]
    None,
    /// In bytes.
    Known(u64),
    Chunked,
}

/// How a length was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Written {
    /// Once, as a plain number or as `chunked`; or not at all.
    #[default]
    Plainly,
    /// With leading zeros, more than once, or in another case: to be written once and plainly.
    Otherwise,
}

/// What the lines of Content-Length and Transfer-Encoding say together.
#[derive(Clone, Copy, Debug, Default)]
pub struct LengthFields {
    length: Option<u64>,
    codings: Codings,
    written: Written,
}

/// The transfer codings so far, in the order in which they were applied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Codings {
    #[default]
    None,
    Chunked,
    /// Others, with or without a last `chunked`.
    Others,
    /// `chunked` twice or not last.
    Misplaced,
    /// A line without a coding.
    Empty,
}

impl LengthFields {
    /// Adds a Content-Length line.
    ///
    /// # Errors
    /// A value that is not a number, or not the one of an earlier line.
    pub fn add_length(&mut self, value: &[u8]) -> Result<(), RequestFault> {
        for element in value.split(|&byte| byte == b',') {
            let element = super::fields::trimmed(element);
            let length = number(element).ok_or(RequestFault::Length)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(RequestFault::LengthsDiffer);
            }
            let has_zeros = element.len() > 1 && element.starts_with(b"0");
            if self.length.is_some() || has_zeros {
                self.written = Written::Otherwise;
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// Adds a Transfer-Encoding line.
    pub fn add_coding(&mut self, value: &[u8]) {
        if self.codings != Codings::None || value != b"chunked" {
            self.written = Written::Otherwise;
        }
        if elements(value).next().is_none() {
            self.codings = Codings::Empty;
        }
        for element in elements(value) {
            let chunked = element.eq_ignore_ascii_case(b"chunked");
            self.codings = match (self.codings, chunked) {
                (Codings::None, true) => Codings::Chunked,
                (Codings::None, false) => Codings::Others,
                (Codings::Others, _) => Codings::Others,
                (Codings::Chunked | Codings::Misplaced, _) => Codings::Misplaced,
                (Codings::Empty, _) => Codings::Empty,
            };
        }
    }

    pub fn written(&self) -> Written {
        self.written
    }

    pub fn has_coding(&self) -> bool {
        self.codings != Codings::None
    }

    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The one length of a body.
    ///
    /// # Errors
    /// Both headers, or a coding that cannot be taken off (RFC 9112 6.1).
    pub fn body(&self) -> Result<BodyLength, RequestFault> {
        match (self.codings, self.length) {
            (Codings::None, None) => Ok(BodyLength::None),
            (Codings::None, Some(length)) => Ok(BodyLength::Known(length)),
            (_, Some(_)) => Err(RequestFault::LengthAndCoding),
            (Codings::Chunked, None) => Ok(BodyLength::Chunked),
            (Codings::Others, None) => Err(RequestFault::CodingUnknown),
            (Codings::Misplaced | Codings::Empty, None) => Err(RequestFault::Coding),
        }
    }
}

/// A decimal number without a sign, below 2^63: nothing counts its bytes beyond that.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    i64::try_from(number).is_ok().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lengths: &[&str], codings: &[&str]) -> Result<(BodyLength, Written), RequestFault> {
        let mut fields = LengthFields::default();
        lengths.iter().try_for_each(|value| fields.add_length(value.as_bytes()))?;
        codings.iter().for_each(|value| fields.add_coding(value.as_bytes()));
        Ok((fields.body()?, fields.written()))
    }

    #[test]
    fn a_length_that_is_said_twice_counts_once_if_both_agree() {
        assert_eq!(read(&["5"], &[]), Ok((BodyLength::Known(5), Written::Plainly)));
        for lengths in [&["5", "5"] as &[&str], &["5, 5"], &["5", "05"], &["005"], &["5 ,5"]] {
            assert_eq!(read(lengths, &[]), Ok((BodyLength::Known(5), Written::Otherwise)), "{lengths:?}");
        }
        assert_eq!(read(&["5, 6"], &[]), Err(RequestFault::LengthsDiffer));
        assert_eq!(read(&["5", "6"], &[]), Err(RequestFault::LengthsDiffer));
    }

    #[test]
    fn a_length_is_digits_only() {
        for length in ["", "+5", "-1", "5 5", "0x5", "5,", ",5", "٥", "18446744073709551616", "9223372036854775808"] {
            assert_eq!(read(&[length], &[]), Err(RequestFault::Length), "{length:?}");
        }
    }

    #[test]
    fn chunked_is_the_only_coding_and_comes_once() {
        assert_eq!(read(&[], &["chunked"]), Ok((BodyLength::Chunked, Written::Plainly)));
        assert_eq!(read(&[], &["Chunked"]), Ok((BodyLength::Chunked, Written::Otherwise)));
        for codings in [&["gzip, chunked"] as &[&str], &["gzip", "chunked"], &["identity"], &["xchunked"], &["chunked;q=1"]]
        {
            assert_eq!(read(&[], codings), Err(RequestFault::CodingUnknown), "{codings:?}");
        }
        for codings in
            [&["chunked, chunked"] as &[&str], &["chunked", "chunked"], &["chunked, gzip"], &[""], &["", "chunked"]]
        {
            assert_eq!(read(&[], codings), Err(RequestFault::Coding), "{codings:?}");
        }
    }

    #[test]
    fn a_length_beside_a_coding_is_a_fault() {
        assert_eq!(read(&["5"], &["chunked"]), Err(RequestFault::LengthAndCoding));
        assert_eq!(read(&["5"], &["gzip"]), Err(RequestFault::LengthAndCoding));
    }
}
