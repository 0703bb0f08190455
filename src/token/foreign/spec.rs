//! Whose tokens an entry takes, and what must be known to read them: values only.

use super::apache::Separator;
use crate::http::cookie::CookieName;
use crate::session::foreign_format::ForeignFormat;
use crate::session::named_secret::SecretSource;
use crate::time::UnixSeconds;

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

impl FormatSpec {
    pub const fn format(&self) -> ForeignFormat {
        match self {
            Self::Nginx => ForeignFormat::Nginx,
            Self::Tengine => ForeignFormat::Tengine,
            Self::Haproxy { .. } => ForeignFormat::Haproxy,
            Self::Apache { .. } => ForeignFormat::Apache,
            Self::Envoy => ForeignFormat::Envoy,
            Self::Traefik => ForeignFormat::Traefik,
            Self::Caddy { .. } => ForeignFormat::Caddy,
            Self::IngressNginx { .. } => ForeignFormat::IngressNginx,
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
