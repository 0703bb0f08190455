//! Whose tokens a persistence method accepts, and what is needed to read them: values only.

use super::apache::Separator;
use crate::http::cookie::CookieName;
use crate::session::foreign_format::ForeignFormat;
use crate::session::named_secret::SecretSource;
use crate::time::UnixSeconds;

/// A format with its parameters.
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
    /// `stickysession`: the application's session id followed by the route.
    Apache { separator: Separator },
    /// `stateful_session`: the address itself.
    Envoy,
    /// `sticky.cookie`: a hash of the server's URL.
    Traefik,
    /// `lb_policy cookie`: HMAC of the address.
    Caddy {
        /// None: the empty secret, Caddy's default.
        secret: Option<SecretSource>,
    },
    /// `affinity: cookie` with `affinity-mode: persistent`.
    IngressNginx {
        /// The controller's name for the backend: `NAMESPACE-SERVICE-PORT`.
        backend: String,
    },
}

/// Tokens that a persistence method accepts besides its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptSpec {
    pub format: FormatSpec,
    /// The previous proxy's cookie, if it differs from the method's own.
    pub name: Option<CookieName>,
    /// The last second in which they are accepted.
    pub until: Option<UnixSeconds>,
}

/// What carries a token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Carrier {
    /// A cookie that holds only the token.
    Cookie,
    /// An application's cookie with the token before its value.
    PrefixedCookie,
    /// A header that holds only the token.
    Header,
    /// An application's header that is wrapped together with the token.
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

    /// The secret that is needed to read it.
    pub fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::Haproxy { dynamic_cookie_key: secret } | Self::Caddy { secret } => secret.as_ref(),
            Self::Nginx | Self::Tengine | Self::Apache { .. } | Self::Envoy | Self::Traefik | Self::IngressNginx { .. } => {
                None
            }
        }
    }
}
