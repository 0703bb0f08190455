//! What people write who know another proxy or guess, and what Burdock calls it: names of HAProxy, nginx, Traefik, Envoy and
//! Caddy. One table in parts; `schema/vocabulary` says how a row is read and `schema` asks wherever it meets
//! something that it does not expect. A name that differs from ours only in case, `-` or `_`, or by a slip, needs no row.

mod everywhere;
mod failures;
mod sections;
mod sticky;
mod tcp_keepalive;
mod upstreams;

use super::schema::errors::ForeignWords;

/// The first row that applies counts, so the rows for every place come last.
pub(super) const TABLES: ForeignWords =
    &[tcp_keepalive::WORDS, sections::WORDS, upstreams::WORDS, failures::WORDS, sticky::WORDS, everywhere::WORDS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_hides_another() {
        let rows = || TABLES.iter().copied().flatten();
        for row in rows() {
            for (path, found) in row.samples() {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let first = rows().find(|row| row.help(&path, found.found()).is_some());
                assert!(first.is_some_and(|first| std::ptr::eq(first, row)), "{path:?} {found:?}");
            }
        }
    }
}
