//! An access-log line, as text or JSON. All data from the client is escaped. The code is written by hand, as it runs for every
//! request: `fmt` would cost more than the rest of the line.

use std::cell::RefCell;
use std::time::Duration;

use burdock::config::values::LogFormat;
use burdock::ids::ServerId;

use crate::runtime::clock::Moment;
use crate::telemetry::request_record::RequestRecord;

/// A field's name with its delimiters, in both formats.
struct Key {
    text: &'static [u8],
    json: &'static [u8],
}

macro_rules! key {
    ($name:literal) => {
        Key { text: concat!(" ", $name, "=").as_bytes(), json: concat!(",\"", $name, "\":").as_bytes() }
    };
}

/// Formats the line of a record and passes it to `write`.
pub fn with(record: &RequestRecord, format: LogFormat, ended: Moment, write: impl FnOnce(&[u8])) {
    thread_local! {
        static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(512));
    }
    LINE.with(|line| {
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.clear();
        let mut fields = Fields { line: &mut line, format };
        fields.time(ended.wall);
        fields.request(record);
        fields.decision(record);
        fields.measurements(record, ended.uptime.since(record.started.uptime));
        fields.close();
        write(&line);
    });
}

struct Fields<'l> {
    line: &'l mut Vec<u8>,
    format: LogFormat,
}

impl Fields<'_> {
    fn request(&mut self, record: &RequestRecord) {
        match record.client {
            Some(client) => self.address(key!("client"), client),
            None => self.word(key!("client"), ""),
        }
        self.word(key!("http_method"), record.request.method.as_str());
        self.foreign(key!("host"), record.request.host());
        self.foreign(key!("path"), record.request.path());
    }

    fn decision(&mut self, record: &RequestRecord) {
        self.number(key!("status"), u64::from(record.status.unwrap_or(0)));
        self.word(key!("route"), record.route.as_ref().map_or("", |route| &route.name));
        self.word(key!("upstream"), record.upstream.as_ref().map_or("", |upstream| upstream.name.as_str()));
        self.word(key!("server"), record.server_id().map_or("", ServerId::as_str));
        self.word(key!("reason"), record.reason().as_str());
        self.word(key!("method"), record.method.as_str());
        self.word(key!("settled"), record.settled.as_str());
        self.word(key!("from"), record.from.as_ref().map_or("", ServerId::as_str));
        self.number(key!("tries"), u64::from(record.tries));
        if record.wait.is_some() {
            self.millis(key!("wait_ms"), record.wait);
        }
    }

    fn measurements(&mut self, record: &RequestRecord, total: Duration) {
        self.millis(key!("connect_ms"), record.connect);
        self.millis(key!("response_ms"), record.response);
        self.millis(key!("total_ms"), Some(total));
        self.number(key!("bytes_in"), record.bytes_in);
        self.number(key!("bytes_out"), record.bytes_out);
    }

    fn close(&mut self) {
        self.line.extend_from_slice(match self.format {
            LogFormat::Text => b"\n",
            LogFormat::Json => b"}\n",
        });
    }

    fn key(&mut self, key: Key) {
        self.line.extend_from_slice(match self.format {
            LogFormat::Text => key.text,
            LogFormat::Json => key.json,
        });
    }

    fn quote(&mut self) {
        if self.format == LogFormat::Json {
            self.line.push(b'"');
        }
    }

    /// A word from an enum or the configuration, which needs no escaping.
    fn word(&mut self, key: Key, word: &str) {
        self.key(key);
        self.quote();
        self.line.extend_from_slice(if word.is_empty() && self.format == LogFormat::Text { b"-" } else { word.as_bytes() });
        self.quote();
    }

    /// Text from the client: characters other than plain visible ASCII are written as `%XX`.
    fn foreign(&mut self, key: Key, text: &str) {
        self.key(key);
        self.quote();
        if text.is_empty() && self.format == LogFormat::Text {
            self.line.push(b'-');
        }
        if text.bytes().all(is_plain) {
            self.line.extend_from_slice(text.as_bytes());
        } else {
            text.bytes().for_each(|byte| self.escaped(byte));
        }
        self.quote();
    }

    fn escaped(&mut self, byte: u8) {
        if is_plain(byte) {
            self.line.push(byte);
        } else {
            self.line.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        }
    }

    fn address(&mut self, key: Key, address: std::net::IpAddr) {
        self.key(key);
        self.quote();
        match address {
            std::net::IpAddr::V4(v4) => {
                for (at, byte) in v4.to_bits().to_be_bytes().into_iter().enumerate() {
                    if at > 0 {
                        self.line.push(b'.');
                    }
                    self.digits(u64::from(byte));
                }
            }
            std::net::IpAddr::V6(v6) => self.line.extend_from_slice(v6.to_string().as_bytes()),
        }
        self.quote();
    }

    fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        self.digits(number);
    }

    /// Milliseconds with three decimals.
    fn millis(&mut self, key: Key, time: Option<Duration>) {
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
        self.line.extend_from_slice(match self.format {
            LogFormat::Text => b"time=",
            LogFormat::Json => b"{\"time\":\"",
        });
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

/// Visible ASCII without a special meaning in a line.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=')
}

fn hex(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(nibble)]
}

/// `2026-11-21T09:30:00`, in UTC.
fn date(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64)
        .map_or_else(|_| String::new(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(format: LogFormat, write: impl FnOnce(&mut Fields<'_>)) -> String {
        let mut line = Vec::new();
        write(&mut Fields { line: &mut line, format });
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn time_is_in_utc() {
        let at = Duration::from_millis(1_795_222_205_007);
        assert_eq!(line(LogFormat::Text, |fields| fields.time(at)), "time=2026-11-21T00:50:05.007Z");
        assert_eq!(line(LogFormat::Json, |fields| fields.time(at)), "{\"time\":\"2026-11-21T00:50:05.007Z\"");
    }

    #[test]
    fn durations_are_milliseconds_with_three_decimals() {
        let time = |time| line(LogFormat::Text, |fields| fields.millis(key!("t"), time));
        assert_eq!(time(Some(Duration::from_micros(1_002_003))), " t=1002.003");
        assert_eq!(time(None), " t=-");
        assert_eq!(line(LogFormat::Json, |fields| fields.millis(key!("t"), None)), ",\"t\":null");
    }

    #[test]
    fn empty_field_is_a_dash_in_text_and_empty_in_json() {
        assert_eq!(line(LogFormat::Text, |fields| fields.word(key!("w"), "")), " w=-");
        assert_eq!(line(LogFormat::Json, |fields| fields.word(key!("w"), "")), ",\"w\":\"\"");
    }

    proptest! {
        #[test]
        fn client_text_cannot_leave_its_field(text in "\\PC*|[\\x00-\\x7f]*") {
            let written = line(LogFormat::Text, |fields| fields.foreign(key!("path"), &text));
            let value = written.strip_prefix(" path=").unwrap();
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte)));
            let json = line(LogFormat::Json, |fields| fields.foreign(key!("path"), &text));
            let object = format!("{{{}}}", &json[1..]);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&object).is_ok(), "{object}");
        }
    }
}
