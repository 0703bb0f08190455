//! Differences as text for people.

use std::fmt;

use super::difference::{Difference, DifferenceKind, Field, Moves, RemovalKind, Subject};

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.what)?;
        let Moves { learned, by_token, hashed_permille } = self.moves;
        if learned > 0 {
            write!(f, "; learned sessions that move: {learned}")?;
        }
        if by_token > 0 {
            write!(f, "; sessions by token that move: about {by_token}")?;
        }
        if hashed_permille > 0 {
            write!(f, "; {}.{} % of the hashed names move", hashed_permille / 10, hashed_permille % 10)?;
        }
        Ok(())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(name) => write!(f, "upstream {}", name.as_str()),
            Self::Server(upstream, id) => write!(f, "server {}/{}", upstream.as_str(), id.as_str()),
            Self::Route(name) => write!(f, "route {name}"),
            Self::Table(name) => write!(f, "table {name}"),
            Self::Dns => f.write_str("dns"),
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Removed(RemovalKind::Leaving) => f.write_str("removed, but stays until its sessions have ended"),
            Self::Removed(RemovalKind::AtOnce) => f.write_str("removed"),
            Self::Changed(fields) if fields.is_empty() => f.write_str("changed: servers"),
            Self::Changed(fields) => {
                f.write_str("changed: ")?;
                for (nth, field) in fields.iter().enumerate() {
                    let separator = if nth == 0 { "" } else { ", " };
                    write!(f, "{separator}{field}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{} ({before} → {after})", self.name),
            (Some(_) | None, _) => f.write_str(&self.name),
        }
    }
}
