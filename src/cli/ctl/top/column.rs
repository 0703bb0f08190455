//! The columns of the servers' table: what they show, and how they sort.

use std::cmp::Ordering;

use super::figures::ServerFigures;
use crate::cli::ctl::text::{or_dash, sessions};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Column {
    Server,
    State,
    Health,
    Weight,
    Requests,
    Failures,
    InFlight,
    Max,
    Sessions,
}

/// The direction of a column: of numbers, the largest are of interest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    Ascending,
    Descending,
}

impl Column {
    pub const ALL: [Self; 9] = [
        Self::Server,
        Self::State,
        Self::Health,
        Self::Weight,
        Self::Requests,
        Self::Failures,
        Self::InFlight,
        Self::Max,
        Self::Sessions,
    ];

    pub const fn heading(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::State => "state",
            Self::Health => "health",
            Self::Weight => "weight",
            Self::Requests => "req/s",
            Self::Failures => "fail/s",
            Self::InFlight => "in flight",
            Self::Max => "max",
            Self::Sessions => "sessions",
        }
    }

    pub fn cell(self, server: &ServerFigures) -> String {
        let info = &server.info;
        match self {
            Self::Server => format!("{}/{}", info.upstream, info.id),
            Self::State => info.state.as_str().to_owned(),
            Self::Health => info.health.as_str().to_owned(),
            Self::Weight => info.weight.to_string(),
            Self::Requests => format!("{:.1}", server.requests),
            Self::Failures => format!("{:.1}", server.failures),
            Self::InFlight => info.in_flight.to_string(),
            Self::Max => or_dash(info.max_conns),
            Self::Sessions => sessions(info.sessions),
        }
    }

    /// The direction in which a column sorts first.
    pub const fn direction(self) -> Direction {
        if self.is_number() { Direction::Descending } else { Direction::Ascending }
    }

    pub const fn is_number(self) -> bool {
        match self {
            Self::Server | Self::State | Self::Health => false,
            Self::Weight | Self::Requests | Self::Failures | Self::InFlight | Self::Max | Self::Sessions => true,
        }
    }

    /// The next column to the right, or to the left, from one end to the other.
    pub fn beside(self, step: isize) -> Self {
        let count = Self::ALL.len() as isize;
        let at = Self::ALL.iter().position(|column| *column == self).unwrap_or(0) as isize;
        Self::ALL[(at + step).rem_euclid(count) as usize]
    }

    /// Compares by this column, and servers that are equal there by their names.
    pub fn compare(self, direction: Direction, a: &ServerFigures, b: &ServerFigures) -> Ordering {
        let order = self.ascending(a, b);
        let order = match direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        };
        order.then_with(|| name(a).cmp(&name(b)))
    }

    fn ascending(self, a: &ServerFigures, b: &ServerFigures) -> Ordering {
        match self {
            Self::Server => name(a).cmp(&name(b)),
            Self::State => a.info.state.as_str().cmp(b.info.state.as_str()),
            Self::Health => a.info.health.as_str().cmp(b.info.health.as_str()),
            Self::Weight => a.info.weight.cmp(&b.info.weight),
            Self::Requests => a.requests.total_cmp(&b.requests),
            Self::Failures => a.failures.total_cmp(&b.failures),
            Self::InFlight => a.info.in_flight.cmp(&b.info.in_flight),
            // Without a limit it is the largest.
            Self::Max => a.info.max_conns.unwrap_or(u32::MAX).cmp(&b.info.max_conns.unwrap_or(u32::MAX)),
            Self::Sessions => total(a).cmp(&total(b)),
        }
    }
}

impl Direction {
    pub const fn inverted(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }

    pub const fn arrow(self) -> char {
        match self {
            Self::Ascending => '▲',
            Self::Descending => '▼',
        }
    }
}

fn name(server: &ServerFigures) -> (&str, &str) {
    (&server.info.upstream, &server.info.id)
}

/// Unknown numbers of sessions are less than none.
fn total(server: &ServerFigures) -> Option<u64> {
    let count = server.info.sessions;
    match (count.learned, count.by_token) {
        (None, None) => None,
        (learned, by_token) => Some(learned.unwrap_or(0) + by_token.unwrap_or(0)),
    }
}
