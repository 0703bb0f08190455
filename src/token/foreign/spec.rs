//! Whose tokens an entry takes, and what must be known to read them: values only.

use super::apache::Separator;
use crate::http::cookie::CookieName;
use crate::sticky::secrets::SecretSource;
use crate::time::UnixSeconds;

/// A proxy whose tokens are understood; the word in log and metrics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    Nginx,
    Tengine,
    Haproxy,
    Apache,
    Envoy,
    Traefik,
    Caddy,
    IngressNginx,
}

/// A format with what else must be known to read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FormatSpec {
    /// `sticky cookie`: MD5 of the address, or `route=`.
    Nginx,
    /// `session_sticky`: MD5 of the address, or plain.
    Tengine,
    /// `cookie`: the server's name, with dates or without.
    Haproxy {
        /// `dynamic-cookie-key`.
        dynamic_cookie_key: Option<SecretSource>,
    },
    /// `stickysession`: a session id with the route behind it, which the application made.
    Apache { separator: Separator },
    /// `stateful_session`: the address itself.
    Envoy,
    /// `sticky.cookie`: a hash of the server's URL.
    Traefik,
    /// `lb_policy cookie`: HMAC of the address.
    Caddy {
        /// None: the empty one, which is Caddy's default.
        secret: Option<SecretSource>,
    },
    /// `affinity: cookie` with `affinity-mode: persistent`.
    IngressNginx {
        /// The controller's name for the backend: `NAMESPACE-SERVICE-PORT`.
        backend: String,
    },
}

/// Tokens that an entry takes beside its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptSpec {
    pub format: FormatSpec,
    /// The previous proxy's cookie, where it is not the entry's own.
    pub name: Option<CookieName>,
    /// The last second in which they are taken.
    pub until: Option<UnixSeconds>,
}

/// What a value was found in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Carrier {
    /// A cookie that is the token and nothing else.
    Cookie,
    /// An application's cookie with the token before its value.
    PrefixedCookie,
    /// A header that is the token and nothing else.
    Header,
    /// An application's header that was wrapped up with the token.
    Envelope,
}

impl Format {
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

impl FormatSpec {
    pub const fn format(&self) -> Format {
        match self {
            Self::Nginx => Format::Nginx,
            Self::Tengine => Format::Tengine,
            Self::Haproxy { .. } => Format::Haproxy,
            Self::Apache { .. } => Format::Apache,
            Self::Envoy => Format::Envoy,
            Self::Traefik => Format::Traefik,
            Self::Caddy { .. } => Format::Caddy,
            Self::IngressNginx { .. } => Format::IngressNginx,
        }
    }

    /// The secret that must be known to read it.
    pub fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::Haproxy { dynamic_cookie_key: secret } | Self::Caddy { secret } => secret.as_ref(),
            Self::Nginx | Self::Tengine | Self::Apache { .. } | Self::Envoy | Self::Traefik | Self::IngressNginx { .. } => {
                None
            }
        }
    }
}
