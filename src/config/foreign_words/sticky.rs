//! `sticky` of an upstream, and the sources in requests and responses.

use crate::config::schema::vocabulary::{ForeignWord, field, map, missing, word};

/// Where sources are written.
const SOURCES: &[&str] = &["lookup", "create_from_requests", "from", "key", "all"];

pub(crate) const WORDS: &[ForeignWord] = &[
    map(&["sticky"], "write one method in each entry: sticky: [{cookie: {…}}, {hash: {key: client_ip}}]"),
    word(
        &["sticky"],
        &["true", "on", "yes", "insert", "session", "sessions", "enabled", "cookie_insert", "sticky"],
        "write cookie",
    ),
    word(&["sticky"], &["false", "off", "no", "none", "disabled"], "leave sticky out"),
    word(
        &["sticky"],
        &["ip_hash", "source", "source_ip", "client_ip", "ip", "src", "remote_addr"],
        "write {hash: {key: client_ip}}",
    ),
    word(
        &["sticky"],
        &["jsessionid"],
        "write {learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}, or for Tomcat's jvmRoute \
         {route: {from: {cookie: JSESSIONID, after: .}}}",
    ),
    word(
        &["sticky"],
        &["phpsessid", "asp.net_sessionid", "sessionid", "connect.sid", "laravel_session", "_session_id", "sid"],
        "write {learn: {create: set_cookie:<value>, lookup: cookie:<value>}}",
    ),
    word(
        &["sticky"],
        &["stick_table", "stick", "table", "learned", "app_cookie", "appsession"],
        "write {learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}",
    ),
    word(
        &["sticky"],
        &["name", "mode", "path", "domain", "http_only", "secure", "same_site", "max_age", "expires", "idle_timeout"],
        "it belongs inside the method, such as {cookie: {name: SID, max_age: 1h}}",
    ),
    word(
        &["sticky"],
        &["max_life", "token", "hide", "preserve", "strict", "accept", "cache_control"],
        "it belongs inside the method, such as {cookie: {name: SID, max_age: 1h}}",
    ),
    word(&["sticky.cookie"], &["true", "on", "yes"], "write {}"),
    word(&["sticky.cookie", "sticky.header"], &["*"], "write {name: <value>}"),
    word(&["sticky.route"], &["*"], "write {from: cookie:<value>}"),
    word(&["sticky.learn"], &["*"], "write {create: set_cookie:<value>, lookup: cookie:<value>}"),
    word(&["sticky.hash", "balance.hash"], &["*"], "write {key: <value>}"),
    missing(&["sticky.header"], "name", "write name: X-Session"),
    missing(&["sticky.learn"], "lookup", "write lookup: cookie:JSESSIONID"),
    missing(&["sticky.route"], "from", "write from: cookie:JSESSIONID"),
    missing(&["sticky.hash", "balance.hash"], "key", "write key: client_ip, or cookie:NAME or header:NAME"),
    // Cookies.
    field(&["sticky.cookie"], &["cookie_name", "key", "cookie"], "write name: <value>"),
    field(&["sticky.cookie"], &["expires", "ttl", "expire"], "write max_age: <value>"),
    field(&["sticky.cookie"], &["max_idle", "idle", "timeout"], "write idle_timeout: <value>"),
    field(&["sticky.cookie"], &["lifetime", "max_lifetime"], "write max_life: <value>"),
    field(&["sticky.cookie"], &["insert", "rewrite", "prefix", "passive"], "write mode: <field>"),
    field(&["sticky.cookie"], &["indirect"], "write hide: true, which is the default in mode insert"),
    field(&["sticky.cookie"], &["no_cache"], "remove it: cache_control: private is the default"),
    field(&["sticky.cookie"], &["dynamic"], "remove it: a token names the server by its id; accept reads HAProxy's cookies"),
    field(&["sticky.cookie"], &["encrypt", "encrypted", "signed", "sealed"], "write token: sealed"),
    field(
        &["sticky.cookie"],
        &["secret", "signing_key"],
        "write keys at the top of the file: keys: [{file: /etc/burdock/keys/first}]",
    ),
    word(&["sticky.cookie.secure"], &["true", "yes", "on", "1", "required"], "write always"),
    word(&["sticky.cookie.secure"], &["false", "no", "off", "0"], "write never, or auto: only for clients that use TLS"),
    word(&["sticky.cookie.same_site"], &["default", "unset", "unspecified", "false", "off"], "write omit"),
    word(&["sticky.cookie.mode"], &["read", "read_only", "readonly", "check"], "write passive"),
    word(
        &["sticky.cookie.mode"],
        &["learn", "app", "application"],
        "write {learn: {create: set_cookie:NAME, lookup: cookie:NAME}} in place of {cookie: …}",
    ),
    word(&["cookie.token", "header.token"], &["encrypted", "signed", "secure", "opaque", "encrypt", "hmac"], "write sealed"),
    word(&["cookie.token", "header.token"], &["none", "clear", "id", "route", "server", "text", "md5"], "write plain"),
    field(&["sticky.header"], &["header", "header_name", "key"], "write name: <value>"),
    // Learned sessions.
    field(
        &["sticky.learn"],
        &["zone", "store", "stick_table"],
        "write table: NAME, and its settings at the top of the file: tables: {NAME: {capacity: 100000}}",
    ),
    field(
        &["sticky.learn"],
        &["timeout", "idle_timeout", "expire", "expires", "ttl", "capacity", "size", "max_life", "persist"],
        "write it for the table, at the top of the file: tables: {NAME: {idle_timeout: 30m, capacity: 100000}}",
    ),
    field(&["sticky.learn"], &["cookie", "name"], "write create: set_cookie:<value> and lookup: cookie:<value>"),
    field(&["sticky.learn"], &["header"], "write create: response_header:<value> and lookup: header:<value>"),
    field(
        &["sticky.hash", "balance.hash"],
        &["on", "by", "source", "expr", "header", "cookie", "policy"],
        "write key: client_ip, cookie:NAME or header:NAME",
    ),
    field(&["sticky.route"], &["cookie"], "write from: cookie:<value>"),
    field(&["sticky.route"], &["source", "key", "lookup", "name"], "write from: cookie:JSESSIONID, or another source"),
    // Sources of responses.
    word(&["create"], &["$upstream_cookie_*", "$sent_cookie_*"], "write set_cookie:<value>"),
    word(&["create"], &["$upstream_http_*", "$sent_http_*"], "write response_header:<value>"),
    word(&["create"], &["res.cook(*)", "set-cookie(*)", "scook(*)"], "write set_cookie:<value>"),
    word(&["create"], &["res.hdr(*)", "res.fhdr(*)", "shdr(*)"], "write response_header:<value>"),
    word(&["create"], &["cookie:*"], "a response sets cookies: write set_cookie:<value>"),
    word(&["create"], &["header:*"], "write response_header:<value>"),
    word(&["create"], &["$cookie_*"], "a response sets cookies: write set_cookie:<value>"),
    // Sources of requests.
    word(SOURCES, &["$cookie_*", "req.cook(*)", "cookie(*)", "cook(*)"], "write cookie:<value>"),
    word(SOURCES, &["set_cookie:*", "$upstream_cookie_*"], "a request carries cookies: write cookie:<value>"),
    word(SOURCES, &["$arg_*", "url_param(*)", "urlp(*)", "query(*)"], "write query:<value>"),
    word(SOURCES, &["req.hdr(*)", "req.fhdr(*)", "hdr(*)", "header(*)", "response_header:*"], "write header:<value>"),
    word(SOURCES, &["$http_authorization"], "write bearer_claim:sub"),
    word(SOURCES, &["$http_*"], "write header:<value>, with - in place of _"),
    word(
        SOURCES,
        &["$remote_addr", "$binary_remote_addr", "src", "source", "ip", "remote_ip", "source_ip"],
        "write client_ip",
    ),
    word(SOURCES, &["$uri", "$request_uri", "uri", "url", "path(*)"], "write path"),
    word(SOURCES, &["jwt:*", "bearer:*", "claim:*"], "write bearer_claim:<value>"),
    // Times.
    word(
        &["idle_timeout", "max_life", "max_age", "slow_start", "panic_threshold", "limits.body", "new_sessions", "watch"],
        &["off", "no", "false", "never", "disabled", "unlimited", "infinite", "0"],
        "write none",
    ),
];
