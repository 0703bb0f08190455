//! The other proxies whose tokens Burdock can read. Their token formats are in `token::foreign`.

/// A proxy whose tokens Burdock can read. Logs and metrics use [`Self::as_str`].
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
    fn every_format_has_a_unique_name_and_index() {
        let words: std::collections::BTreeSet<_> = ForeignFormat::ALL.iter().map(|format| format.as_str()).collect();
        assert_eq!(words.len(), ForeignFormat::ALL.len());
        assert!(ForeignFormat::ALL.iter().enumerate().all(|(at, format)| format.index() == at));
    }
}
