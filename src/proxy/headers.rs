//! Pingora's headers: applies the core's edits to them, with names spelled as the message has them.

use ::http::{HeaderName, HeaderValue};
use burdock::http::edits::{EditHeaders, Spelling};
use burdock::http::h1::lines::in_usual_form;
use bytes::Bytes;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

/// A request's headers of Pingora's.
pub struct OfRequest<'h>(pub &'h mut RequestHeader);

/// A response's headers of Pingora's.
pub struct OfResponse<'h>(pub &'h mut ResponseHeader);

macro_rules! edits_pingoras {
    ($headers:ident) => {
        impl EditHeaders for $headers<'_> {
            type Error = Box<pingora::Error>;

            fn remove(&mut self, name: &HeaderName) {
                self.0.remove_header(name);
            }

            fn set(&mut self, name: Spelling, value: HeaderValue) -> Result<()> {
                match name {
                    Spelling::Usual(name) => {
                        let spelling = spelling(self.0.case_header_iter().map(|(spelling, _)| spelling.as_slice()), &name);
                        self.0.insert_header(spelling, value)
                    }
                    Spelling::AsWritten(name) => self.0.insert_header(name, value),
                }
            }

            fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
                let spelling = spelling(self.0.case_header_iter().map(|(spelling, _)| spelling.as_slice()), &name);
                self.0.append_header(spelling, value).map(drop)
            }
        }
    };
}

edits_pingoras!(OfRequest);
edits_pingoras!(OfResponse);

/// How a name is written: as the message has it already, or in its usual form, with a capital at each word.
fn spelling<'h>(mut written: impl Iterator<Item = &'h [u8]>, name: &HeaderName) -> Bytes {
    match written.find(|spelling| spelling.eq_ignore_ascii_case(name.as_str().as_bytes())) {
        Some(spelling) => Bytes::copy_from_slice(spelling),
        None => Bytes::from(in_usual_form(name.as_str())),
    }
}
