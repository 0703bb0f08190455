//! Words that may stand anywhere in the file.

use crate::config::schema::vocabulary::{ForeignWord, field, word};

const TLS: &str =
    "Burdock speaks no TLS yet: put a TLS terminator in front of it and name that in trusted_proxies (docs/tls.md)";

pub(crate) const WORDS: &[ForeignWord] = &[
    field(&["**"], &["<<"], "merge keys are not supported: use an alias for a whole value"),
    field(
        &["**"],
        &["x-*", "x_*", "_*", ".*"],
        "there are no fields of your own: set an anchor where its value is first used, such as timeouts: &slow {read: 10m}",
    ),
    field(
        &["**"],
        &["tls", "ssl", "https", "cert", "certs", "certificate", "certificates", "cert_file", "key_file", "crt", "acme"],
        TLS,
    ),
    field(
        &["**"],
        &["tls_context", "transport_socket", "ssl_certificate", "ssl_certificate_key", "ssl_protocols", "cert_resolver"],
        TLS,
    ),
    field(&["**"], &["certificates_resolvers", "auto_https", "bind_ssl", "ca_file", "sni", "verify"], TLS),
    field(&["**"], &["http2", "h2", "h2c", "http3", "h3", "quic", "grpc", "alpn"], "Burdock speaks HTTP/1 only: remove it"),
    field(
        &["**"],
        &["proxy_protocol", "accept_proxy", "send_proxy", "send_proxy_v2"],
        "Burdock does not speak the PROXY protocol yet: let the proxy in front send X-Forwarded-For, and name it in \
         trusted_proxies",
    ),
    field(
        &["**"],
        &["include", "includes", "import", "imports", "conf_d", "config_files"],
        "there is no include: one file has the whole configuration",
    ),
    word(
        &["**"],
        &["$*", "*${*", "{env.*", "{$*", "*{{*", "%[*"],
        "variables are not replaced in this file: write the value itself, or make the file with a tool such as envsubst",
    ),
];
