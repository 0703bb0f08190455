//! The other proxies whose tokens are understood. How those look is not known here.

/// A proxy whose tokens are understood; the word in log and metrics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ForeignFormat {
    Nginx,
    Tengine,
    Haproxy,
    Apache,
    Envoy,
    Traefik,
    Caddy,
    IngressNginx,
}

impl ForeignFormat {
    pub const ALL: [Self; 8] = [
        Self::Nginx,
        Self::Tengine,
        Self::Haproxy,
        Self::Apache,
        Self::Envoy,
        Self::Traefik,
        Self::Caddy,
        Self::IngressNginx,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Tengine => "tengine",
            Self::Haproxy => "haproxy",
            Self::Apache => "apache",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::IngressNginx => "ingress_nginx",
        }
    }

    /// Its position in [`Self::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|&format| format == self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_own_word_and_place() {
        let words: std::collections::BTreeSet<_> = ForeignFormat::ALL.iter().map(|format| format.as_str()).collect();
        assert_eq!(words.len(), ForeignFormat::ALL.len());
        assert!(ForeignFormat::ALL.iter().enumerate().all(|(at, format)| format.index() == at));
    }
}
