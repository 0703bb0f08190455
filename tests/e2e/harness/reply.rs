//! How an origin responds to a request.

/// The response of an origin.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A response with the origin's name in `X-Served-By`.
    Page(Page),
    /// These bytes as they are.
    Raw(Vec<u8>),
    /// These bytes as they are, then the end of the connection.
    Last(Vec<u8>),
    /// The end of the connection without a response.
    Close,
    /// No response for the lifetime of the origin.
    Silence,
    /// These bytes, then every received byte.
    Echo(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Page::new(status).into()
    }

    /// A 200 with this header.
    pub fn with(name: &str, value: &str) -> Self {
        Page::new(200).header(name, value).into()
    }

    pub fn raw(text: &str) -> Self {
        Self::Raw(text.as_bytes().to_vec())
    }
}

impl Page {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The response as sent by this server to a request with this method.
    pub(super) fn bytes(&self, server: &str, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Reply\r\nX-Served-By: {server}\r\n", self.status);
        if !matches!(self.status, 204 | 304) {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let body = if method == "HEAD" { &[][..] } else { &self.body };
        [head.as_bytes(), body].concat()
    }
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}
