//! Why a request cannot be read in one way only, and the status that says so.

/// What is wrong with a request's head or body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestFault {
    #[error("a line of the head does not end in CR LF")]
    LineEnd,
    #[error("the request line is not a method, a target and a version, each after one space")]
    RequestLine,
    #[error("the request's version is not HTTP/1")]
    Version,
    #[error("the request's target has a form or a character that is not allowed there")]
    Target,
    #[error("CONNECT is not served here")]
    Connect,
    #[error("a header's name or value has a character that is not allowed there, or the header is folded")]
    Field,
    #[error("the header block is over the limit")]
    HeadSize,
    #[error("the header block has more than {} headers", super::fields::MAX_FIELDS)]
    FieldCount,
    #[error("HTTP/1.1 without Host")]
    NoHost,
    #[error("more than one Host")]
    HostTwice,
    #[error("Host is not a name or an address, with or without a port")]
    Host,
    #[error("the target names another host than Host")]
    HostDiffers,
    #[error("Content-Length is not a number")]
    Length,
    #[error("two Content-Length that differ")]
    LengthsDiffer,
    #[error("Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    #[error("Transfer-Encoding in HTTP/1.0, or not with chunked once and last")]
    Coding,
    #[error("a transfer coding other than chunked")]
    CodingUnknown,
    #[error("a chunk's size or end is malformed")]
    Chunk,
    #[error("the trailers are malformed or too long")]
    Trailers,
}

impl RequestFault {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::CodingUnknown => 501,
            Self::Connect => 405,
            Self::HeadSize | Self::FieldCount => 431,
            Self::LineEnd
            | Self::RequestLine
            | Self::Target
            | Self::Field
            | Self::NoHost
            | Self::HostTwice
            | Self::Host
            | Self::HostDiffers
            | Self::Length
            | Self::LengthsDiffer
            | Self::LengthAndCoding
            | Self::Coding
            | Self::Chunk
            | Self::Trailers => 400,
        }
    }
}
