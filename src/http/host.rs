//! The host of a request, from Host or `:authority`.

/// The name or address only: without port and trailing dot, in the case sent. An IPv6 address keeps its brackets.
pub fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_and_trailing_dot_are_not_part_of_the_name() {
        for (host, bare) in [
            ("a.Test", "a.Test"),
            ("a.test:80", "a.test"),
            ("a.test.:80", "a.test"),
            ("a.test:", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(name(host), bare, "{host}");
        }
    }
}
