//! Durations and sizes: a whole number with its unit.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::json;

use super::read::{Hint, Leaf};

/// A duration above zero.
pub(crate) struct Positive;

/// A duration that may be zero.
pub(crate) struct Span;

/// A duration of whole seconds above zero, as u32.
pub(crate) struct Seconds;

/// Bytes from `MIN` to `MAX`.
pub(crate) struct Size<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl Leaf for Positive {
    type Value = Duration;
    const EXPECTED: &'static str = "a duration above zero such as 250ms, 30s, 5m, 1h or 2d";

    fn parse(text: &str) -> Result<Duration, Hint> {
        let duration = duration(text)?;
        if duration.is_zero() { Err(Hint::unknown()) } else { Ok(duration) }
    }

    fn schema() -> serde_json::Value {
        duration_schema()
    }
}

impl Leaf for Span {
    type Value = Duration;
    const EXPECTED: &'static str = "a duration such as 0s, 250ms, 30s, 5m or 1h";

    fn parse(text: &str) -> Result<Duration, Hint> {
        duration(text)
    }

    fn schema() -> serde_json::Value {
        duration_schema()
    }
}

impl Leaf for Seconds {
    type Value = u32;
    const EXPECTED: &'static str = "a duration of whole seconds, at least 1s, such as 30m, 8h or 30d";

    fn parse(text: &str) -> Result<u32, Hint> {
        let duration = duration(text)?;
        if duration.is_zero() || duration.subsec_nanos() != 0 {
            return Err(Hint::unknown());
        }
        Ok(u32::try_from(duration.as_secs())?)
    }

    fn schema() -> serde_json::Value {
        duration_schema()
    }
}

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Leaf for Size<T, MIN, MAX> {
    type Value = T;
    const EXPECTED: &'static str = "a size such as 64KiB, 2MiB, 1GiB or 4096 (bytes)";

    fn parse(text: &str) -> Result<T, Hint> {
        let (digits, unit) = number_and_unit(text);
        let number: u64 = digits.parse().map_err(|_| Hint::by("write one whole number and one unit: KiB, MiB or GiB"))?;
        let bytes: u64 = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            other => return Err(size_hint(number, other)),
        };
        let size = number.checked_mul(bytes).filter(|size| (MIN..=MAX).contains(size));
        size.and_then(|size| T::try_from(size).ok()).ok_or_else(|| Hint::by(format!("use {MIN} to {MAX} bytes")))
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [
            {"type": "integer", "minimum": MIN, "maximum": MAX},
            {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$", "examples": ["64KiB", "2MiB"]},
        ]})
    }
}

fn size_hint(number: u64, unit: &str) -> Hint {
    match unit.bytes().next().map(|b| b.to_ascii_uppercase()) {
        Some(unit @ (b'K' | b'M' | b'G')) => Hint::by(format!("write {number}{}iB", unit as char)),
        Some(_) | None => Hint::by("the units are KiB, MiB and GiB"),
    }
}

/// Longer than any sensible wait, and short enough to add to any clock.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn duration(text: &str) -> Result<Duration, Hint> {
    let (digits, unit) = number_and_unit(text);
    let Ok(number) = digits.parse::<u64>() else {
        return Err(Hint::by("write one whole number and one unit: ms, s, m, h or d"));
    };
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => Hint::by(format!("add a unit: {number}s or {number}ms")),
            _ if unit.starts_with('.') => Hint::by("write a whole number with a smaller unit, such as 1500ms"),
            _ => Hint::by("the units are ms, s, m, h and d"),
        });
    };
    let duration = number.checked_mul(*millis).map(Duration::from_millis);
    duration.filter(|&duration| duration <= MAX_DURATION).ok_or_else(|| Hint::by("use at most 3650d"))
}

/// `64KiB` as `64` and `KiB`.
fn number_and_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn duration_schema() -> serde_json::Value {
    json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["250ms", "30s", "5m", "1h", "2d"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(Positive::parse("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(Positive::parse("2d").unwrap(), Duration::from_secs(172_800));
        for wrong in ["", "5", "0s", "1.5s", "-1s", "1h30m", "5 s", "s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(Positive::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Span::parse("0s").unwrap(), Duration::ZERO);
    }

    #[test]
    fn seconds_are_whole_seconds_above_zero() {
        assert_eq!(Seconds::parse("8h").unwrap(), 28_800);
        assert_eq!(Seconds::parse("2000ms").unwrap(), 2);
        assert!(Seconds::parse("1500ms").is_err());
        assert!(Seconds::parse("0s").is_err());
    }

    #[test]
    fn a_size_is_bytes_or_a_number_and_a_binary_unit() {
        assert_eq!(Size::<u64, 1, 65_536>::parse("64KiB").unwrap(), 65_536);
        assert_eq!(Size::<u64, 1, 65_536>::parse("4096").unwrap(), 4096);
        for wrong in ["65KiB", "0", "32k", "64KB", "1TiB", "-1", "99999999999999999999GiB", "18446744073709551615GiB"] {
            assert!(Size::<u64, 1, 65_536>::parse(wrong).is_err(), "{wrong}");
        }
    }
}
