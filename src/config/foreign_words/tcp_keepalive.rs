//! `tcp_keepalive` of listeners and upstreams.

use crate::config::schema::vocabulary::{ForeignWord, field, word};

const KEEPALIVE: &[&str] = &["listeners.tcp_keepalive", "upstreams.*.tcp_keepalive"];

pub(crate) const WORDS: &[ForeignWord] = &[
    field(
        &["listeners", "upstreams.*"],
        &[
            "so_keepalive",
            "proxy_socket_keepalive",
            "clitcpka",
            "srvtcpka",
            "tcpka",
            "option_clitcpka",
            "option_srvtcpka",
            "option_tcpka",
            "upstream_connection_options",
            "keepalive_interval",
        ],
        "leave it out: TCP keep-alive is on by default; tcp_keepalive: {idle: 60s, interval: 15s, count: 4} has other times",
    ),
    word(KEEPALIVE, &["on", "true", "yes", "enabled", "default"], "leave it out: TCP keep-alive is on by default"),
    word(KEEPALIVE, &["off", "false", "no", "disabled", "0", "0s", "-1"], "write none"),
    word(KEEPALIVE, &["*"], "write {idle: <value>}"),
    field(KEEPALIVE, &["time", "keepalive_time", "keepidle", "tcp_keepidle", "timeout"], "write idle: 60s"),
    field(KEEPALIVE, &["keepalive_interval", "keepintvl", "tcp_keepintvl", "intvl"], "write interval: 15s"),
    field(KEEPALIVE, &["probes", "keepalive_probes", "keepcnt", "tcp_keepcnt", "cnt", "retries"], "write count: 4"),
];
