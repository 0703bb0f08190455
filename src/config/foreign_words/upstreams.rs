//! `upstreams`: servers, and how one is chosen.

use crate::config::schema::vocabulary::{ForeignWord, field, list, map, missing, word};

const UPSTREAM: &str = "upstreams.*";
const SERVERS: &str = "upstreams.*.servers";

pub(crate) const WORDS: &[ForeignWord] = &[
    list(&["upstreams"], "write a map of names: upstreams: {app: {servers: [10.0.0.10:8080]}}"),
    word(&["upstreams"], &["*"], "write a map of names: upstreams: {app: {servers: [<value>]}}"),
    list(&[UPSTREAM], "write {servers: […]}"),
    word(&[UPSTREAM], &["*"], "write {servers: [<value>]}"),
    missing(&[UPSTREAM], "servers", "write servers: [10.0.0.10:8080]"),
    field(
        &[UPSTREAM],
        &["server", "backends", "hosts", "endpoints", "targets", "nodes", "members", "addresses", "address", "urls", "url"],
        "write servers: [10.0.0.10:8080]",
    ),
    field(
        &[UPSTREAM],
        &["load_assignment", "lb_endpoints", "load_balancer", "to", "dial", "backend", "dynamic", "server_template"],
        "write servers: [10.0.0.10:8080]",
    ),
    field(&[UPSTREAM], &["name"], "the key is the name: upstreams: {<value>: {servers: [10.0.0.10:8080]}}"),
    field(
        &[UPSTREAM],
        &["lb_policy", "lb", "algorithm", "load_balancing", "lb_algorithm", "strategy", "method", "policy", "balancing"],
        "write balance: round_robin, least_conn, random_two, first or {hash: {key: client_ip}}",
    ),
    field(&[UPSTREAM], &["ip_hash", "hash", "hash_policy"], "write balance: {hash: {key: client_ip}}"),
    field(&[UPSTREAM], &["least_conn", "least_time"], "write balance: least_conn"),
    field(&[UPSTREAM], &["round_robin", "random"], "write balance: round_robin or random_two"),
    field(&[UPSTREAM], &["cookie", "header", "route", "learn"], "write it in sticky: [{<field>: <value>}]"),
    field(
        &[UPSTREAM],
        &["sticky_cookie", "stickiness", "sticky_session", "sticky_sessions", "session_affinity", "session_persistence"],
        "write sticky: cookie",
    ),
    field(
        &[UPSTREAM],
        &["persistence", "session", "sessions", "stateful_session", "dynamic_cookie_key", "affinity_mode"],
        "write sticky: cookie",
    ),
    field(
        &[UPSTREAM],
        &["stick_table", "stick", "stick_on", "stick_store_response", "appsession", "sticky_learn"],
        "write sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}]",
    ),
    field(
        &[UPSTREAM],
        &[
            "check",
            "checks",
            "health",
            "health_checks",
            "health_uri",
            "health_path",
            "httpchk",
            "option_httpchk",
            "http_check",
        ],
        "write health_check: {http: {path: /healthz}}",
    ),
    field(
        &[UPSTREAM],
        &[
            "max_fails",
            "fail_timeout",
            "fail_duration",
            "outlier_detection",
            "observe",
            "consecutive_5xx",
            "circuit_breaker",
        ],
        "write passive_health: {failures: 5, window: 10s, hold: 10s}",
    ),
    field(
        &[UPSTREAM],
        &[
            "timeout",
            "read_timeout",
            "connect_timeout",
            "send_timeout",
            "timeout_server",
            "timeout_connect",
            "timeout_tunnel",
        ],
        "write timeouts: {connect: 2s, read: 60s, write: 60s, upgraded: 1h}",
    ),
    field(
        &[UPSTREAM],
        &["proxy_read_timeout", "proxy_connect_timeout", "proxy_send_timeout", "response_timeout", "idle_timeout"],
        "write timeouts: {connect: 2s, read: 60s, write: 60s, upgraded: 1h}",
    ),
    field(
        &[UPSTREAM],
        &[
            "retries",
            "redispatch",
            "option_redispatch",
            "proxy_next_upstream",
            "lb_retries",
            "retry_policy",
            "tries",
            "retry_on",
        ],
        "write retry: {tries: 3}: the number of attempts, including the first",
    ),
    field(
        &[UPSTREAM],
        &["client_max_body_size", "max_body_size", "body_size", "max_body", "max_request_body_bytes"],
        "write limits: {body: 10MiB}",
    ),
    field(&[UPSTREAM], &["max_queue", "queue_length", "timeout_queue", "queue_timeout"], "write queue: {length: 256}"),
    field(
        &[UPSTREAM],
        &["keepalive", "pool", "connection_pool", "http_reuse", "max_idle_conns"],
        "write connections: shared or private; process: {upstream_pool: 128} is the number of idle connections",
    ),
    field(
        &[UPSTREAM],
        &["max_conn", "max_conns", "max_connections", "circuit_breakers"],
        "write max_conns at a server: servers: [{address: 10.0.0.10:8080, max_conns: 100}]",
    ),
    field(
        &[UPSTREAM],
        &["weight", "backup", "state", "id"],
        "write it at a server: servers: [{address: 10.0.0.10:8080, <field>: <value>}]",
    ),
    field(
        &[UPSTREAM],
        &["match", "host", "path", "path_prefix", "rule", "domains", "routes", "server_name"],
        "write routes beside upstreams: routes: [{match: {hosts: [shop.example.com], path_prefix: /}, upstream: app}]",
    ),
    field(
        &[UPSTREAM],
        &["pass_host_header", "host_header", "mode", "protocol", "scheme", "zone"],
        "remove it: Burdock passes the client's Host, and speaks HTTP",
    ),
    // Servers.
    map(&[SERVERS], "write a list: servers: [{id: web1, address: 10.0.0.10:8080}]"),
    list(&[SERVERS], "write at least one server, such as [10.0.0.10:8080]; `burdock ctl add` adds more while Burdock runs"),
    field(
        &[SERVERS],
        &["host", "hostname", "ip", "url", "uri", "addr", "socket_address", "endpoint", "target", "server", "dial"],
        "write address: 10.0.0.10:8080, or for a name to look up name: app.internal:8080",
    ),
    field(&[SERVERS], &["port"], "write it after the address: address: 10.0.0.10:<value>"),
    field(&[SERVERS], &["label", "key", "node", "alias", "uid"], "write id: <value>"),
    field(&[SERVERS], &["cookie", "cookie_value", "route_id", "jvm_route", "sticky_value"], "write route: <value>"),
    field(
        &[SERVERS],
        &["max_conn", "max_connections", "max_requests", "unhealthy_request_count", "limit"],
        "write max_conns: <value>",
    ),
    field(
        &[SERVERS],
        &["max_fails", "fail_timeout", "fail_duration", "error_limit", "observe", "on_error"],
        "write it in the upstream, beside servers: passive_health: {failures: 3, window: 30s}",
    ),
    field(
        &[SERVERS],
        &["check", "health_check", "healthcheck", "inter", "interval", "rise", "fall", "health", "agent_check", "timeout"],
        "write it in the upstream, beside servers: health_check: {http: {path: /healthz}}",
    ),
    field(&[SERVERS], &["disabled", "down", "maintenance", "maint", "offline"], "write state: maint"),
    field(&[SERVERS], &["enabled", "active", "up", "ready"], "write state: ready, drain or maint"),
    field(&[SERVERS], &["drain", "draining"], "write state: drain"),
    field(&[SERVERS], &["spare", "standby", "priority", "fallback"], "write backup: true"),
    field(&[SERVERS], &["slow_start", "on_marked_down"], "write it in the upstream, beside servers: <field>: <value>"),
    field(
        &[SERVERS],
        &["resolve", "resolvers", "init_addr", "dns", "service"],
        "write name: app.internal:8080, or srv: _http._tcp.app.internal: Burdock looks names up again when they expire",
    ),
    field(
        &[SERVERS],
        &["tls", "ssl", "https", "verify", "sni", "ca_file"],
        "remove it: Burdock speaks no TLS to servers yet, so address must be one where the server speaks plain HTTP",
    ),
    word(
        &[SERVERS, "servers.address", "servers.name"],
        &["https://*", "wss://*"],
        "Burdock speaks no TLS to servers yet: write an address where the server speaks plain HTTP, without scheme and path",
    ),
    word(&["servers.state"], &["up", "active", "enabled", "on", "true", "healthy"], "write ready"),
    word(&["servers.state"], &["down", "disabled", "maintenance", "off", "false", "stopped"], "write maint"),
    word(&["servers.state"], &["draining", "drained", "leaving"], "write drain"),
    // How a server is chosen.
    word(
        &["balance"],
        &["ip_hash", "source", "source_ip", "client_ip", "client_ip_hash", "src", "ip", "hash", "consistent_hash"],
        "write {hash: {key: client_ip}}",
    ),
    word(
        &["balance"],
        &["ring_hash", "maglev", "chash", "rendezvous", "hrw", "consistent"],
        "write {hash: {key: client_ip}}",
    ),
    word(&["balance"], &["uri", "uri_hash", "url", "path"], "write {hash: {key: path}}"),
    word(&["balance"], &["header", "hdr", "hdr(*"], "write {hash: {key: header:X-User}}"),
    word(&["balance"], &["url_param", "url_param *", "query"], "write {hash: {key: query:user}}"),
    word(&["balance"], &["cookie", "sticky", "stateful_session", "rdp-cookie*"], "write sticky: cookie beside balance"),
    word(&["balance"], &["random", "random two*", "random(*", "p2c", "power_of_two", "two_random"], "write random_two"),
    word(
        &["balance"],
        &["least_request", "least_requests", "least_connection", "least_connections", "least_time*", "fewest", "lc", "wlc"],
        "write least_conn",
    ),
    word(&["balance"], &["rr", "wrr", "static_rr", "weighted_round_robin", "weighted", "roundrobin"], "write round_robin"),
    word(&["balance"], &["failover", "priority", "backup", "active_passive", "ordered"], "write first"),
];
