//! The whole file, and all sections except `upstreams`.

use crate::config::schema::vocabulary::{ForeignWord, field, field_unless, list, map, missing, word};
use crate::route::{HostPattern, PathPrefix};

const SHAPE: &str = "the file is a map: listeners: [0.0.0.0:8080], upstreams: {app: {servers: [10.0.0.10:8080]}}";
const ROUTES: &str = "write routes: [{match: {hosts: [shop.example.com], path_prefix: /}, upstream: app}]";
const HOW_HOSTS: &str = "write hosts: [shop.example.com] in match: whole names, or wildcards such as \"*.example.com\", without scheme, \
                         port and pattern";
const HOW_PREFIX: &str = "write path_prefix: /app in match: how the path begins, without patterns";

/// Whether a host can stand in a list as it is. A wildcard needs quotes.
fn is_host(text: &str) -> bool {
    HostPattern::parse(text).is_ok() && !text.starts_with('*')
}

fn is_prefix(text: &str) -> bool {
    PathPrefix::parse(text).is_ok() && !text.contains('*')
}

pub(crate) const WORDS: &[ForeignWord] = &[
    // The whole file.
    word(
        &[""],
        &["upstream *{*}", "server {*", "http {*", "events {*", "worker_processes *", "user *", "*proxy_pass *"],
        "this is nginx's syntax, and Burdock reads YAML: docs/moving-from-nginx.md shows one in terms of the other",
    ),
    word(
        &[""],
        &["global*", "defaults*", "frontend *", "backend *", "listen *", "*default_backend *"],
        "this is HAProxy's syntax, and Burdock reads YAML: docs/moving-from-haproxy.md shows one in terms of the other",
    ),
    word(
        &[""],
        &["*reverse_proxy *"],
        "this is another proxy's syntax, and Burdock reads YAML: docs/moving-from-others.md shows one in terms of the other",
    ),
    word(&[""], &["*"], SHAPE),
    list(&[""], SHAPE),
    missing(&[""], "listeners", "write listeners: [0.0.0.0:8080]"),
    missing(&[""], "upstreams", "write upstreams: {app: {servers: [10.0.0.10:8080]}}"),
    // The top of the file.
    field(
        &[""],
        &["listen", "listener", "bind", "binds", "port", "ports", "address", "addresses", "entry_points"],
        "write listeners: [0.0.0.0:8080]",
    ),
    field(
        &[""],
        &["frontend", "frontends", "server_blocks", "sites"],
        "write its addresses as listeners: [0.0.0.0:8080], and its rules as routes",
    ),
    field(
        &[""],
        &["upstream", "backend", "backends", "service", "services", "cluster", "clusters", "pool", "pools", "farm"],
        "write upstreams: {app: {servers: [10.0.0.10:8080]}}",
    ),
    field(
        &[""],
        &["server", "servers", "load_balancer", "load_balancers", "targets", "reverse_proxy", "proxy", "origins"],
        "write upstreams: {app: {servers: [10.0.0.10:8080]}}",
    ),
    field(&[""], &["router", "routers", "virtual_hosts", "vhosts", "location", "locations", "rules", "ingress"], ROUTES),
    field(&[""], &["route", "hosts", "match", "paths", "acl", "use_backend", "default_backend", "route_config"], ROUTES),
    field(
        &[""],
        &["log", "logs", "logger", "logging", "error_log", "log_level", "debug"],
        "write access_log for the log of requests; the environment variable RUST_LOG sets the level of all other messages",
    ),
    field(&[""], &["log_format"], "write access_log: {format: json} or {format: text}"),
    field(
        &[""],
        &["stats", "metrics", "api", "ping", "dashboard", "prometheus", "monitoring", "health", "status", "ctl"],
        "write admin: {address: 127.0.0.1:9180}: metrics, health and the API are there",
    ),
    field(
        &[""],
        &["global", "daemon", "worker_processes", "worker_connections", "workers", "threads", "nbthread", "user", "group"],
        "settings of the process are in the section process, such as process: {threads: 4}",
    ),
    field(
        &[""],
        &["state_dir", "runtime_dir", "shutdown", "watch"],
        "write it in the section process: process: {<field>: <value>}",
    ),
    field(
        &[""],
        &["defaults", "default", "common", "templates"],
        "there are no defaults for several upstreams: use an anchor, such as timeouts: &slow {read: 10m} and timeouts: *slow",
    ),
    field(
        &[""],
        &["resolver", "resolvers", "name_servers", "dns_servers", "dns_resolvers"],
        "write dns: {servers: [10.0.0.53]}",
    ),
    field(&[""], &["stick_table", "stick_tables", "zone", "zones", "peers"], "write tables: {sessions: {capacity: 100000}}"),
    field(
        &[""],
        &["key", "secret", "secrets", "secret_key", "encryption_key", "session_key"],
        "write keys: [{file: /etc/burdock/keys/first}]",
    ),
    field(
        &[""],
        &["trusted_proxies", "trusted_ips", "set_real_ip_from"],
        "write it at a listener: listeners: [{address: 0.0.0.0:8080, trusted_proxies: [10.0.0.0/8]}]",
    ),
    field(
        &[""],
        &["sticky", "balance", "health_check", "timeouts", "failover", "retry", "limits", "queue", "slow_start"],
        "write it in an upstream: upstreams: {app: {servers: [10.0.0.10:8080], <field>: <value>}}",
    ),
    field(
        &[""],
        &[
            "cookie",
            "affinity",
            "sticky_scope",
            "passive_health",
            "health_checks",
            "timeout",
            "retries",
            "sticky_cookie",
            "lb_policy",
        ],
        "write it in an upstream: upstreams: {app: {servers: [10.0.0.10:8080], …}}",
    ),
    field(
        &[""],
        &["http", "tcp", "apps", "static_resources", "dynamic_resources", "providers", "config", "burdock", "spec"],
        "there is no such level: listeners, upstreams and routes are at the top of the file",
    ),
    field(&[""], &["middlewares", "plugins", "filters", "http_filters"], "remove it: Burdock has no middlewares"),
    // Listeners.
    map(&["listeners"], "write a list: listeners: [{address: 0.0.0.0:8080}]"),
    missing(&["listeners"], "address", "write address: 0.0.0.0:8080"),
    field(&["listeners"], &["port"], "write it after the address: address: 0.0.0.0:<value>"),
    field(
        &["listeners"],
        &["listen", "bind", "host", "hostname", "ip", "addr", "interface", "url", "socket_address", "addresses"],
        "write address: 0.0.0.0:8080",
    ),
    field(&["listeners"], &["name", "id", "protocol", "mode"], "remove it: a listener has an address only, and speaks HTTP"),
    field(
        &["listeners"],
        &[
            "forwarded_headers",
            "trusted_ips",
            "set_real_ip_from",
            "real_ip_header",
            "option_forwardfor",
            "xff_num_trusted_hops",
        ],
        "write trusted_proxies: [10.0.0.0/8]",
    ),
    field(
        &["listeners"],
        &["timeout", "timeouts", "read_timeout", "client_header_timeout", "timeout_http_request", "timeout_client"],
        "write header_timeout: 10s for the headers of a request, keepalive_timeout: 60s for idle connections",
    ),
    field(
        &["listeners"],
        &["idle_timeout", "keepalive", "keep_alive", "timeout_http_keep_alive"],
        "write keepalive_timeout: 60s",
    ),
    field(
        &["listeners"],
        &["routes", "route", "upstream", "default_backend", "backend", "match", "filter_chains", "hosts"],
        "write routes at the top of the file, beside listeners: they apply to every listener",
    ),
    word(
        &["trusted_proxies"],
        &["any", "all", "true", "yes", "0.0.0.0", "::"],
        "write [0.0.0.0/0, \"::/0\"], which trusts every client; the addresses of your proxies are safer",
    ),
    word(
        &["trusted_proxies"],
        &["private_ranges", "private", "localhost", "local", "internal"],
        "write networks: [127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, \"fd00::/8\"]",
    ),
    word(&["trusted_proxies"], &["none", "false", "no", "off"], "leave it out: without it no proxy is trusted"),
    word(&["forwarded"], &["x-forwarded-for", "xff", "x-forwarded", "true", "on"], "write x_forwarded"),
    word(&["forwarded"], &["forwarded", "standard"], "write rfc7239"),
    // The admin service.
    word(&["admin.address", "admin.socket"], &["off", "no", "false", "disabled"], "write none"),
    word(&["admin"], &["none", "off", "no", "false", "disabled"], "write {address: none, socket: none}"),
    word(&["admin"], &["true", "on", "yes", "enabled"], "leave admin out: it serves at 127.0.0.1:9180 by default"),
    word(&["admin"], &["*"], "write {address: <value>}"),
    field(&["admin"], &["listen", "bind", "port", "host", "addr", "url"], "write address: 127.0.0.1:9180"),
    field(
        &["admin"],
        &["token", "password", "auth", "user", "secret", "credentials"],
        "write token_file: /etc/burdock/admin-token",
    ),
    // The process.
    field(
        &["process"],
        &["workers", "worker_processes", "nbthread", "num_threads", "concurrency", "cpus"],
        "write threads: <value>",
    ),
    field(
        &["process"],
        &["grace", "grace_period", "graceful_timeout", "lame_duck", "shutdown_timeout", "hard_stop_after", "drain_timeout"],
        "write shutdown: {lame_duck: 5s, grace: 60s}",
    ),
    field(&["process"], &["user", "group"], "remove it: the service manager sets the user, such as User= in a systemd unit"),
    field(
        &["process"],
        &["pid", "pidfile", "daemon"],
        "remove it: Burdock stays in the foreground, its pid file is in runtime_dir",
    ),
    word(&["process.shutdown"], &["*"], "write {grace: <value>}"),
    word(&["process.watch"], &["true", "on", "yes", "always"], "write the time between two checks, such as 5s"),
    // The access log.
    word(&["access_log"], &["off", "none", "false", "no"], "write {to: off}"),
    word(&["access_log"], &["true", "on", "yes", "-", "stdout"], "write {to: stdout}"),
    word(&["access_log"], &["json", "text"], "write {format: <value>}"),
    word(&["access_log"], &["*"], "write {to: <value>}"),
    field(
        &["access_log"],
        &["path", "file", "file_path", "file_name", "output", "target", "destination"],
        "write to: <value>",
    ),
    word(&["access_log.to"], &["none", "false", "no"], "write off"),
    word(
        &["access_log.to"],
        &["stderr", "syslog", "syslog:*", "journal", "journald", "true", "on"],
        "write stdout, or the absolute path of a file: a service manager sends stdout to its journal",
    ),
    word(
        &["access_log.format"],
        &["combined", "common", "clf", "main", "logfmt", "console", "default"],
        "write text or json",
    ),
    // Name servers.
    field(
        &["dns"],
        &["resolver", "resolvers", "name_servers", "name_server", "nameservers", "server"],
        "write servers: [10.0.0.53]",
    ),
    field(&["dns"], &["valid", "ttl", "cache", "hold_valid"], "write max_ttl: <value>"),
    field(&["dns"], &["ipv6", "ipv4", "lookup_family", "prefer"], "write family: any, ipv4 or ipv6"),
    // Session tables.
    list(&["tables"], "write a map of names: tables: {sessions: {capacity: 100000}}"),
    field(
        &["tables.*"],
        &["size", "max", "limit", "max_entries", "max_sessions"],
        "write capacity: the number of sessions, without a unit",
    ),
    field(&["tables.*"], &["expire", "expires", "timeout", "ttl", "idle"], "write idle_timeout: <value>"),
    field(
        &["tables.*"],
        &["type", "store", "peers", "zone"],
        "remove it: a table has capacity, idle_timeout, max_life and persist",
    ),
    word(
        &["capacity", "creations_per_minute"],
        &["*k", "*K", "*m", "*M", "*g", "*G", "*KiB", "*MiB", "*GiB", "*KB", "*MB", "*_*", "*,*"],
        "write a number of sessions, without a unit: 1000000 is a million",
    ),
    // Routes.
    map(&["routes"], "write a list: routes: [{match: {hosts: [shop.example.com]}, upstream: app}]"),
    missing(&["routes"], "upstream", "write upstream: and the name of one of upstreams"),
    field_unless(&["routes"], &["host", "domain", "server_name", "hostname"], is_host, HOW_HOSTS),
    field(&["routes"], &["host", "domain", "server_name", "hostname"], "write match: {hosts: [<value>]}"),
    field(&["routes"], &["hosts", "domains", "hostnames"], "write match: {hosts: […]}"),
    field_unless(&["routes"], &["path", "prefix", "path_prefix", "location", "uri"], is_prefix, HOW_PREFIX),
    field(&["routes"], &["path", "prefix", "path_prefix", "location", "uri"], "write match: {path_prefix: <value>}"),
    field(&["routes"], &["paths"], "write one route for each: match: {path_prefix: /app}"),
    field(
        &["routes"],
        &["backend", "service", "to", "cluster", "target", "proxy_pass", "use_backend", "pool", "upstreams", "forward"],
        "write upstream: <value>",
    ),
    field(
        &["routes"],
        &["rule", "if", "acl", "when", "condition", "matches"],
        "write match: {hosts: [shop.example.com], path_prefix: /}",
    ),
    field(
        &["routes"],
        &["strip_prefix", "strip_path", "rewrite", "replace_path", "prefix_rewrite", "path_rewrite", "regex_rewrite"],
        "remove it: this version does not change paths, so the server sees the whole path",
    ),
    field(
        &["routes"],
        &["redirect", "return", "middlewares", "filters", "headers", "timeout", "weight", "priority", "split"],
        "remove it: a route has name, match and upstream only, and the best match wins",
    ),
    field_unless(&["match"], &["path", "paths", "prefix", "uri", "location", "url"], is_prefix, HOW_PREFIX),
    field(&["match"], &["path", "paths", "prefix", "uri", "location", "url"], "write path_prefix: <value>"),
    field_unless(&["match"], &["host", "domain", "server_name", "hostname", "authority"], is_host, HOW_HOSTS),
    field(&["match"], &["host", "domain", "server_name", "hostname", "authority"], "write hosts: [<value>]"),
    field(&["match"], &["domains", "hostnames"], "write hosts: […]"),
    field(
        &["match"],
        &["header", "headers", "method", "methods", "query", "cookie", "regex", "path_regex", "port", "client_ip"],
        "remove it: routes match hosts and path_prefix only",
    ),
    word(&["match"], &["Host(*", "Path*(*", "*&&*"], "write {hosts: [shop.example.com], path_prefix: /app}"),
    word(&["match"], &["/*"], "write {path_prefix: /<value>}"),
    word(&["match"], &["*"], "write {hosts: [<value>]}"),
    word(
        &["match.path_prefix"],
        &["~*", "^*", "*$", "*.**", "*(*", "*\\*"],
        "it is no regular expression: write how the path begins, such as /app",
    ),
    word(
        &["match.hosts"],
        &["~*", "^*", "*$", "*(*", "*\\*"],
        "it is no regular expression: write shop.example.com, or \"*.example.com\" for all names below it",
    ),
    // Keys.
    word(&["env"], &["$*"], "write the variable's name without $"),
];
