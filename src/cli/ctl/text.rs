//! Text layout: columns, durations, unknown numbers.

use crate::api::server::SessionCount;

/// Rows in columns of minimal width, with numbers aligned right. The first row is the heading.
pub struct Columns(Vec<Vec<String>>);

impl Columns {
    pub fn new(heading: &[&str]) -> Self {
        Self(vec![heading.iter().map(|name| (*name).to_uppercase()).collect()])
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    pub fn text(&self) -> String {
        let count = self.0.first().map_or(0, Vec::len);
        let cells = |at: usize| self.0.iter().filter_map(move |row| row.get(at));
        let widths: Vec<usize> =
            (0..count).map(|at| cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
        let right: Vec<bool> = (0..count).map(|at| cells(at).skip(1).all(|cell| is_number(cell))).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        };
        self.0.iter().map(line).collect()
    }
}

fn is_number(cell: &str) -> bool {
    cell == "-" || cell.trim_start_matches('~').bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

/// Formats seconds: `45s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub fn span(seconds: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, below: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{below}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Formats a number that may be unknown.
pub fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Sessions for a column: `~` marks an estimate.
pub fn sessions(count: SessionCount) -> String {
    match (count.learned, count.by_token) {
        (None, None) => "-".to_owned(),
        (Some(learned), None) => learned.to_string(),
        (learned, Some(by_token)) => format!("~{}", learned.unwrap_or(0) + by_token),
    }
}

/// Sessions left for a sentence: exact or estimated.
pub fn sessions_left(count: SessionCount) -> String {
    match (count.learned, count.by_token) {
        (None, None) => "sessions left: unknown (their tokens have no idle timeout)".to_owned(),
        (Some(learned), None) => format!("{learned} sessions left (exact)"),
        (None, Some(by_token)) => format!("about {by_token} sessions left (estimated)"),
        (Some(learned), Some(by_token)) => {
            format!("about {} sessions left ({learned} learned, exact; {by_token} by token, estimated)", learned + by_token)
        }
    }
}

/// Parses a duration as in the configuration, in whole seconds: `90s`, `5m`, `2h`, `1d`.
pub fn parse_span(text: &str) -> Result<u32, String> {
    let wrong = || format!("expected a duration such as 90s, 5m or 2h, found {text:?}");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (digits, unit) = text.split_at(at);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_minimal_width_and_align_numbers_right() {
        let mut columns = Columns::new(&["server", "weight", "sessions", "state"]);
        columns.row(["shop-1", "1", "~1200", "ready"].map(str::to_owned));
        columns.row(["a", "256", "-", "drain"].map(str::to_owned));
        let expected = "SERVER  WEIGHT  SESSIONS  STATE\nshop-1       1     ~1200  ready\na          256         -  drain\n";
        assert_eq!(columns.text(), expected);
    }

    #[test]
    fn spans_print_at_most_two_units_and_parse_one() {
        let printed = [5, 60, 200, 7_200, 7_500, 90_000].map(span);
        assert_eq!(printed, ["5s", "1m", "3m 20s", "2h", "2h 5m", "1d 1h"]);
        assert_eq!([parse_span("90s"), parse_span("2h")], [Ok(90), Ok(7_200)]);
        for wrong in ["", "2", "h", "2 h", "2w", "-1s", "99999999d"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sessions_left_are_marked_exact_or_estimated() {
        let left = |learned, by_token| sessions_left(SessionCount { learned, by_token });
        assert!(left(Some(3), None).contains("3 sessions left (exact)"));
        assert!(left(None, Some(3)).contains("about 3 sessions left (estimated)"));
        assert!(left(Some(1), Some(2)).starts_with("about 3 sessions left"));
        assert!(left(None, None).contains("unknown"));
    }
}
