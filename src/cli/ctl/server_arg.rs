//! Servers as arguments of the command line: one by its name, or several by patterns.

use std::str::FromStr;

use super::client::AskError;

/// A server, named UPSTREAM/SERVER. As a pattern, both parts may contain `*` for any characters and `?` for one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerArg {
    pub upstream: String,
    pub server: String,
}

impl ServerArg {
    pub fn path(&self) -> String {
        crate::api::path(&["upstreams", &self.upstream, "servers", &self.server])
    }

    fn is_pattern(&self) -> bool {
        [&self.upstream, &self.server].iter().any(|part| part.contains(['*', '?']))
    }

    fn matches(&self, other: &Self) -> bool {
        matches(self.upstream.as_bytes(), other.upstream.as_bytes())
            && matches(self.server.as_bytes(), other.server.as_bytes())
    }
}

/// Whether `text` matches `pattern`. It goes back only to the last `*`, so it takes at most the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while pos < text.len() {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, pos));
                at += 1;
            }
            (Some(&byte), _) if byte == b'?' || byte == text[pos] => {
                at += 1;
                pos += 1;
            }
            (_, Some((star_at, taken))) => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                pos = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The servers that the arguments name, without duplicates, in the order of the arguments. `all` lists the servers that there are; it is
/// asked only for patterns.
///
/// # Errors
/// A pattern that matches no server, or that of `all`.
pub fn resolve(
    args: &[ServerArg],
    all: impl FnOnce() -> Result<Vec<ServerArg>, AskError>,
) -> Result<Vec<ServerArg>, AskError> {
    let known = if args.iter().any(ServerArg::is_pattern) { all()? } else { Vec::new() };
    let mut found: Vec<ServerArg> = Vec::new();
    for arg in args {
        let named: Vec<ServerArg> = if arg.is_pattern() {
            known.iter().filter(|server| arg.matches(server)).cloned().collect()
        } else {
            vec![arg.clone()]
        };
        if named.is_empty() {
            return Err(AskError::NoMatch(arg.to_string()));
        }
        for server in named {
            if !found.contains(&server) {
                found.push(server);
            }
        }
    }
    Ok(found)
}

impl FromStr for ServerArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((upstream, server)) if !upstream.is_empty() && !server.is_empty() => {
                Ok(Self { upstream: upstream.to_owned(), server: server.to_owned() })
            }
            Some(_) | None => Err("expected UPSTREAM/SERVER, such as shop/shop-1"),
        }
    }
}

impl std::fmt::Display for ServerArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.upstream, self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Vec<ServerArg> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_pattern_matches_any_characters_or_one() {
        for (pattern, text, expected) in [
            ("blue-*", "blue-1", true),
            ("blue-*", "blue-", true),
            ("blue-*", "green-1", false),
            ("*", "", true),
            ("*-1*", "blue-1-1x", true),
            ("web-?", "web-1", true),
            ("web-?", "web-12", false),
            ("a*b*c", "a-b-b-d", false),
            ("*:8080", "10.0.0.1:8080", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_name_each_server_once_and_must_match() {
        let all = || Ok(servers(&["shop/blue-1", "shop/blue-2", "shop/green-1", "pay/blue-1"]));
        let found = resolve(&servers(&["shop/blue-2", "shop/blue-*"]), all).unwrap();
        assert_eq!(found, servers(&["shop/blue-2", "shop/blue-1"]));
        assert_eq!(resolve(&servers(&["*/blue-1"]), all).unwrap(), servers(&["shop/blue-1", "pay/blue-1"]));
        let error = resolve(&servers(&["shop/blue-1", "shop/red-*"]), all).unwrap_err();
        assert!(error.to_string().contains("shop/red-*"), "{error}");
    }
}
