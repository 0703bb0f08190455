//! An access-log line, as text or JSON. Everything that came from the client is escaped. It is written by hand because it is
//! written for every request: formatting machinery costs more than the rest of the line.

use std::cell::RefCell;
use std::time::Duration;

use burdock::config::settings::LogFormat;

use super::record::Record;

/// Makes the line for a record and hands it to `write`.
pub fn with(record: &Record, format: LogFormat, wall: Duration, write: impl FnOnce(&[u8])) {
    thread_local! {
        static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(512));
    }
    LINE.with(|line| {
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.clear();
        let mut fields = Fields { line: &mut line, format };
        fields.open();
        fields.all(record, wall);
        fields.close();
        write(&line);
    });
}

struct Fields<'l> {
    line: &'l mut Vec<u8>,
    format: LogFormat,
}

impl Fields<'_> {
    fn all(&mut self, record: &Record, wall: Duration) {
        self.time(wall);
        match record.client {
            Some(client) => self.address("client", client),
            None => self.word("client", ""),
        }
        self.word("http_method", record.request.method.as_str());
        self.foreign("host", &record.request.host);
        self.foreign("path", &record.request.path);
        self.number("status", u64::from(record.status.unwrap_or(0)));
        self.word("route", record.route.as_ref().map_or("", |(name, _)| name));
        self.word("upstream", record.upstream.as_ref().map_or("", |(name, _)| name.as_str()));
        self.word("server", record.server.as_ref().map_or("", |(id, _)| id.as_str()));
        self.word("reason", record.reason().as_str());
        self.word("method", record.method.as_str());
        self.word("settled", record.settled.as_str());
        self.word("from", record.from.as_ref().map_or("", |id| id.as_str()));
        self.number("tries", u64::from(record.tries));
        self.millis("connect_ms", record.connect);
        self.millis("response_ms", record.response);
        self.millis("total_ms", Some(record.total()));
        self.number("bytes_in", record.bytes_in);
        self.number("bytes_out", record.bytes_out);
    }

    fn open(&mut self) {
        if self.format == LogFormat::Json {
            self.line.push(b'{');
        }
    }

    fn close(&mut self) {
        match self.format {
            LogFormat::Text => self.line.push(b'\n'),
            LogFormat::Json => self.line.extend_from_slice(b"}\n"),
        }
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Text => {
                if !self.line.is_empty() {
                    self.line.push(b' ');
                }
                self.line.extend_from_slice(key.as_bytes());
                self.line.push(b'=');
            }
            LogFormat::Json => {
                self.line.extend_from_slice(if self.line.len() > 1 { b",\"" } else { b"\"" });
                self.line.extend_from_slice(key.as_bytes());
                self.line.extend_from_slice(b"\":");
            }
        }
    }

    fn quote(&mut self) {
        if self.format == LogFormat::Json {
            self.line.push(b'"');
        }
    }

    /// A word from an enum or the configuration: names there hold nothing that would need escaping.
    fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        self.quote();
        self.line.extend_from_slice(if word.is_empty() && self.format == LogFormat::Text { b"-" } else { word.as_bytes() });
        self.quote();
    }

    /// Something that the client wrote: what is not plain visible ASCII is shown as `%XX`.
    fn foreign(&mut self, key: &str, text: &str) {
        self.key(key);
        self.quote();
        if text.is_empty() && self.format == LogFormat::Text {
            self.line.push(b'-');
        }
        for octet in text.bytes() {
            match octet {
                b'"' | b'\\' | b'=' | 0..=b' ' | 0x7f.. => {
                    self.line.extend_from_slice(&[b'%', hex(octet >> 4), hex(octet & 15)])
                }
                _ => self.line.push(octet),
            }
        }
        self.quote();
    }

    fn address(&mut self, key: &str, address: std::net::IpAddr) {
        self.key(key);
        self.quote();
        match address {
            std::net::IpAddr::V4(v4) => {
                for (at, octet) in v4.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.line.push(b'.');
                    }
                    self.digits(u64::from(octet));
                }
            }
            std::net::IpAddr::V6(v6) => self.line.extend_from_slice(v6.to_string().as_bytes()),
        }
        self.quote();
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.digits(number);
    }

    /// Milliseconds with three decimals.
    fn millis(&mut self, key: &str, time: Option<Duration>) {
        self.key(key);
        let Some(time) = time else {
            self.line.extend_from_slice(if self.format == LogFormat::Json { b"null" } else { b"-" });
            return;
        };
        let micros = time.as_micros() as u64;
        self.digits(micros / 1000);
        self.line.push(b'.');
        self.padded(micros % 1000);
    }

    fn time(&mut self, wall: Duration) {
        thread_local! {
            static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
        }
        self.key("time");
        self.quote();
        SECOND.with_borrow_mut(|(second, text)| {
            if *second != wall.as_secs() {
                *second = wall.as_secs();
                *text = date(wall.as_secs());
            }
            self.line.extend_from_slice(text.as_bytes());
        });
        self.line.push(b'.');
        self.padded(u64::from(wall.subsec_millis()));
        self.line.push(b'Z');
        self.quote();
    }

    fn digits(&mut self, number: u64) {
        self.line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn padded(&mut self, below_thousand: u64) {
        let digit = |n: u64| b'0' + (n % 10) as u8;
        self.line.extend_from_slice(&[digit(below_thousand / 100), digit(below_thousand / 10), digit(below_thousand)]);
    }
}

fn hex(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(nibble)]
}

/// `2026-11-21T09:30:00`, in UTC.
fn date(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64)
        .map_or_else(|_| String::new(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}
