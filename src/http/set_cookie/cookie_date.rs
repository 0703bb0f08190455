//! Dates in the Expires attribute of Set-Cookie, parsed as browsers do (RFC 6265bis 5.1.1): there is no fixed format,
//! and the first parts of the text that look like a time, a day, a month and a year count. As in browsers the time zone
//! is always UTC and the weekday is ignored.

/// The date in Unix seconds, negative before 1970. None if browsers do not accept it as a date.
pub(super) fn cookie_date(text: &[u8]) -> Option<i64> {
    let mut found = Found::default();
    for token in text.split(|&byte| is_delimiter(byte)).filter(|token| !token.is_empty()) {
        found.add(token);
    }
    found.date()?.unix_seconds()
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// The parts found so far. Each token becomes the first part that is still missing and that it fits.
#[derive(Default)]
struct Found {
    time: Option<[u32; 3]>,
    day: Option<u32>,
    /// Counted from 1.
    month: Option<usize>,
    year: Option<u32>,
}

impl Found {
    fn add(&mut self, token: &[u8]) {
        let _ = fill(&mut self.time, || time(token))
            || fill(&mut self.day, || number(token, 1..=2))
            || fill(&mut self.month, || month(token))
            || fill(&mut self.year, || number(token, 2..=4).map(full_year));
    }

    fn date(self) -> Option<Date> {
        Some(Date { year: self.year?, month: self.month?, day: self.day?, time: self.time? })
    }
}

/// Fills a missing part. Whether it did.
fn fill<T>(part: &mut Option<T>, read: impl FnOnce() -> Option<T>) -> bool {
    if part.is_some() {
        return false;
    }
    *part = read();
    part.is_some()
}

/// Hours, minutes and seconds of one or two digits each. Anything except a digit may follow.
fn time(token: &[u8]) -> Option<[u32; 3]> {
    let mut fields = token.splitn(3, |&byte| byte == b':');
    let (hour, minute, second) = (fields.next()?, fields.next()?, fields.next()?);
    let whole = |field: &[u8]| number(field, 1..=2).filter(|_| field.iter().all(u8::is_ascii_digit));
    Some([whole(hour)?, whole(minute)?, number(second, 1..=2)?])
}

/// The number at the start of a token, if it has this many digits.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let end = token.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(token.len());
    let value = || token[..end].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    digits.contains(&end).then(value)
}

/// By its first three letters, whatever follows.
fn month(token: &[u8]) -> Option<usize> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let start = token.get(..3)?;
    MONTHS.iter().position(|month| start.eq_ignore_ascii_case(&month[..])).map(|at| at + 1)
}

/// Two-digit years are those from 1970 to 2069, with or without leading zeros.
fn full_year(year: u32) -> u32 {
    match year {
        70..=99 => year + 1900,
        0..=69 => year + 2000,
        _ => year,
    }
}

/// A date that may not exist.
struct Date {
    year: u32,
    month: usize,
    day: u32,
    time: [u32; 3],
}

impl Date {
    fn unix_seconds(&self) -> Option<i64> {
        let [hour, minute, second] = self.time;
        let valid = self.year >= 1601 && hour <= 23 && minute <= 59 && second <= 59;
        let day = self.days_since_1970().filter(|_| valid)?;
        Some(day * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
    }

    /// None where the month has no such day.
    fn days_since_1970(&self) -> Option<i64> {
        const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let length = |month: usize| LENGTHS[month - 1] + u32::from(month == 2 && leap);
        if self.day < 1 || self.day > length(self.month) {
            return None;
        }
        let in_year = (1..self.month).map(length).sum::<u32>() + self.day - 1;
        Some(days_before(self.year) - days_before(1970) + i64::from(in_year))
    }
}

/// Days from the start of the year 1 to the start of `year`, in the Gregorian calendar.
fn days_before(year: u32) -> i64 {
    let past = i64::from(year) - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Option<i64> {
        cookie_date(text.as_bytes())
    }

    #[test]
    fn dates_are_parsed_in_every_common_format() {
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wed, 21-Oct-2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
            "2015 oct 21 7:28:0",
            "21/OCTOBER/15, 07:28:00 +0200",
            "07:28:00 21st October 2015AD",
        ] {
            assert_eq!(date(text), Some(1_445_412_480), "{text}");
        }
    }

    #[test]
    fn known_dates_have_known_seconds() {
        assert_eq!(date("Thu, 01-Jan-1970 00:00:01 GMT"), Some(1));
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Wed, 31 Dec 1969 23:59:59 GMT"), Some(-1));
        assert_eq!(date("Mon, 01 Jan 1601 00:00:00 GMT"), Some(-11_644_473_600));
        assert_eq!(date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(date("Tue, 19 Jan 2038 03:14:07 GMT"), Some(2_147_483_647));
        assert_eq!(date("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
    }

    #[test]
    fn a_two_digit_year_is_between_1970_and_2069() {
        assert_eq!(date("1 Jan 70 0:0:0"), Some(0));
        assert_eq!(date("1 Jan 99 0:0:0"), date("1 Jan 1999 0:0:0"));
        assert_eq!(date("1 Jan 00 0:0:0"), date("1 Jan 2000 0:0:0"));
        assert_eq!(date("1 Jan 69 0:0:0"), date("1 Jan 2069 0:0:0"));
        assert_eq!(date("1 Jan 069 0:0:0"), date("1 Jan 2069 0:0:0"));
    }

    #[test]
    fn an_invalid_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "yesterday",
            "1 Jan 2020",
            "1 Jan 0:0:0",
            "Jan 2020 0:0:0",
            "1 2020 0:0:0",
            "0 Jan 2020 0:0:0",
            "32 Jan 2020 0:0:0",
            "31 Apr 2020 0:0:0",
            "29 Feb 2023 0:0:0",
            "29 Feb 1900 0:0:0",
            "1 Jan 1600 0:0:0",
            "1 Jan 20200 0:0:0",
            "1 Jan 2020 24:0:0",
            "1 Jan 2020 0:60:0",
            "1 Jan 2020 0:0:60",
            "1 Jan 2020 0:0:000",
            "1 Jan 2020 0:0",
            "1 Jan 2020 0:0x:0",
            "2020-01-01T00:00:00Z",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_part_that_fits_counts() {
        assert_eq!(date("1 2 Jan 2020 0:0:0 1:1:1 Feb 2021"), date("1 Jan 2020 0:0:0"));
        assert_eq!(date("1 02 Jan 2020 0:0:0"), date("1 Jan 2002 0:0:0"));
    }

    proptest! {
        #[test]
        fn the_next_day_is_86_400_seconds_later(days in -134_774_i64..2_932_896) {
            let text = |days| {
                // The civil date by counting: slow and simple.
                let (mut year, mut left) = (1601_u32, days + 134_774);
                let length = |year: u32| match (year % 4, year % 100, year % 400) {
                    (_, _, 0) => 366,
                    (_, 0, _) => 365,
                    (0, _, _) => 366,
                    _ => 365,
                };
                while left >= length(year) {
                    left -= length(year);
                    year += 1;
                }
                let february = length(year) - 337;
                let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
                let mut month = 0;
                while left >= lengths[month] {
                    left -= lengths[month];
                    month += 1;
                }
                let name = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"][month];
                format!("{} {name} {year} 00:00:00", left + 1)
            };
            prop_assert_eq!(date(&text(days)), Some(days * 86_400));
        }

        #[test]
        fn any_text_can_be_parsed(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = cookie_date(&text);
        }
    }
}
