//! The reference against the types: its field tables list every field with its default, its lists of words, metrics and commands are
//! complete, and the pages on moving from another balancer show valid configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use burdock::balancer::reason::{Move, Reason, TieAction};
use burdock::config::Config;
use burdock::session::foreign_format::ForeignFormat as Format;
use burdock::sticky::method::Method;
use serde_json::{Map, Value};

use crate::text::{anchors, check_sticky_entries, files, links, read, root, spans, yaml_blocks};

const REFERENCE: &str = "docs/reference.md";
const MOVING: [&str; 4] = [
    "docs/moving-from-haproxy.md",
    "docs/moving-from-nginx.md",
    "docs/moving-from-kubernetes.md",
    "docs/moving-from-others.md",
];

/// Where the reference explains a record or a choice of the schema.
enum Place {
    /// In the tables under this heading whose first header cell is this text, each name after this prefix.
    Table(&'static str, &'static str, &'static str),
    /// In the text under this heading, as one of several forms of a value: `{drain: 1h}`, `cookie:NAME`, `apache.separator`.
    Text(&'static str),
    /// In the text under this heading, each name somewhere in backticks.
    Words(&'static str),
}

use Place::{Table, Text, Words};

/// Every part of the schema that has fields. A path is the fields that lead to it, with `[]` for the entries of a list and `*` for
/// those of a map. A path that starts with `$` starts in `$defs`.
const PLACES: [(&str, Place); 52] = [
    ("", Table("Configuration", "field", "")),
    ("$accepted_tokens[]", Table("Tokens of other proxies", "field", "")),
    ("$accepted_tokens[].format", Text("Tokens of other proxies")),
    ("$accepted_tokens[].format.apache", Table("Tokens of other proxies", "field of `format`", "apache.")),
    ("$accepted_tokens[].format.caddy", Table("Tokens of other proxies", "field of `format`", "caddy.")),
    ("$accepted_tokens[].format.caddy.secret", Text("Tokens of other proxies")),
    ("$accepted_tokens[].format.haproxy", Table("Tokens of other proxies", "field of `format`", "haproxy.")),
    ("$accepted_tokens[].format.haproxy.dynamic_cookie_key", Text("Tokens of other proxies")),
    ("$accepted_tokens[].format.ingress_nginx", Table("Tokens of other proxies", "field of `format`", "ingress_nginx.")),
    ("$response_source", Words("Response sources")),
    ("$single_source", Words("sources")),
    ("$single_source.client_ip", Table("sources", "field of `client_ip`", "")),
    ("$source", Text("sources")),
    ("$sticky_entry", Text("sticky")),
    ("$sticky_entry.cookie", Table("cookie", "field", "")),
    ("$sticky_entry.hash", Table("hash", "field", "")),
    ("$sticky_entry.header", Table("header", "field", "")),
    ("$sticky_entry.learn", Table("learn", "field", "")),
    ("$sticky_entry.route", Table("route", "field", "")),
    ("access_log", Table("access_log", "field", "")),
    ("admin", Table("admin", "field", "")),
    ("dns", Table("dns", "field", "")),
    ("fingerprint_key", Text("fingerprint_key")),
    ("keys[]", Text("keys")),
    ("listeners[]", Table("listeners", "field", "")),
    ("listeners[].tcp_keepalive", Table("TCP keep-alive", "field of `tcp_keepalive`", "")),
    ("process", Table("process", "field", "")),
    ("process.shutdown", Table("process", "field", "shutdown.")),
    ("routes[]", Table("routes", "field", "")),
    ("routes[].match", Table("routes", "field", "match.")),
    ("tables.*", Table("tables", "field", "")),
    ("upstreams.*", Table("upstreams", "field", "")),
    ("upstreams.*.affinity", Table("The Burdock-Affinity header", "field of `affinity`", "")),
    ("upstreams.*.balance", Text("balance")),
    ("upstreams.*.balance.hash", Table("balance", "field of `hash`", "")),
    ("upstreams.*.failover", Table("Failover actions", "field of `failover`", "")),
    ("upstreams.*.failover.down", Text("Failover actions")),
    ("upstreams.*.failover.drained", Text("Failover actions")),
    ("upstreams.*.failover.full", Text("Failover actions")),
    ("upstreams.*.failover.full.then", Text("Failover actions")),
    ("upstreams.*.failover.maint", Text("Failover actions")),
    ("upstreams.*.failover.unknown", Text("Failover actions")),
    ("upstreams.*.health_check", Table("health_check", "field", "")),
    ("upstreams.*.health_check.http", Table("health_check", "field of `http`", "")),
    ("upstreams.*.limits", Table("Timeouts and limits", "field of `limits`", "")),
    ("upstreams.*.passive_health", Table("passive_health", "field", "")),
    ("upstreams.*.queue", Table("Waiting for a full server", "field of `queue`", "")),
    ("upstreams.*.removed_servers", Text("upstreams")),
    ("upstreams.*.retry", Table("Retries", "field of `retry`", "")),
    ("upstreams.*.servers[]", Table("servers", "field", "")),
    ("upstreams.*.tcp_keepalive", Table("TCP keep-alive", "field of `tcp_keepalive`", "")),
    ("upstreams.*.timeouts", Table("Timeouts and limits", "field of `timeouts`", "")),
];

/// A field of the schema.
#[derive(Clone, Debug)]
struct Field {
    required: bool,
    default: Option<Value>,
}

type Fields = BTreeMap<String, Field>;

/// A row's heading, the first header cell of its table, and its cells.
struct Row {
    heading: String,
    table: String,
    cells: Vec<String>,
}

#[test]
fn the_field_tables_have_every_field_of_the_schema_and_no_others() {
    let records = records();
    let places: BTreeSet<&str> = PLACES.iter().map(|(path, _)| *path).collect();
    let unplaced: Vec<&String> = records.keys().filter(|path| !places.contains(path.as_str())).collect();
    assert!(unplaced.is_empty(), "no place in the reference is known for: {unplaced:?}");
    let gone: Vec<&&str> = places.iter().filter(|path| !records.contains_key(**path)).collect();
    assert!(gone.is_empty(), "not in the schema: {gone:?}");

    let rows = field_rows();
    let mut expected = BTreeSet::new();
    for (path, place) in &PLACES {
        match place {
            Table(heading, table, prefix) => {
                let fields = records[*path].keys().map(|field| name_of_row(heading, table, &format!("{prefix}{field}")));
                expected.extend(fields);
            }
            Text(heading) => {
                let section = section(&read(REFERENCE), heading);
                let unnamed: Vec<&String> = records[*path].keys().filter(|name| !is_form(&section, name)).collect();
                assert!(unnamed.is_empty(), "no form under the heading {heading}: {unnamed:?} of {path}");
            }
            Words(heading) => {
                let section = section(&read(REFERENCE), heading);
                let unnamed: Vec<&String> = records[*path].keys().filter(|name| !is_in_code(&section, name)).collect();
                assert!(unnamed.is_empty(), "not under the heading {heading}: {unnamed:?} of {path}");
            }
        }
    }
    let written: Vec<String> = rows.iter().map(|row| name_of_row(&row.heading, &row.table, code(&row.cells[0]))).collect();
    let once: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(written.len(), once.len(), "a field has two rows: {written:?}");
    let missing: Vec<&String> = expected.difference(&once).collect();
    assert!(missing.is_empty(), "fields without a row: {missing:#?}");
    let unknown: Vec<&String> = once.difference(&expected).collect();
    assert!(unknown.is_empty(), "rows without a field: {unknown:#?}");
}

#[test]
fn the_field_tables_have_the_defaults_of_the_schema() {
    let records = records();
    let rows = field_rows();
    let mut wrong = Vec::new();
    for (path, place) in &PLACES {
        let Table(heading, table, prefix) = place else { continue };
        for (name, field) in &records[*path] {
            let name = format!("{prefix}{name}");
            let is_row = |row: &&Row| row.heading == *heading && row.table == *table && code(&row.cells[0]) == name;
            let Some(row) = rows.iter().find(is_row) else { continue };
            if !is_default(&row.cells[1], field) {
                wrong.push(format!("{heading}, {name}: {} for {field:?}", row.cells[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reference_lists_every_reason_and_no_other() {
    assert_same("reason", Reason::ALL.into_iter().map(Reason::as_str));
}

#[test]
fn the_reference_lists_every_settled_word_and_no_other() {
    let all = [
        TieAction::Kept,
        TieAction::Renewed,
        TieAction::Inserted,
        TieAction::Rewritten,
        TieAction::Learned,
        TieAction::Forgotten,
        TieAction::None,
    ];
    // A new word does not compile here until it is in the list above.
    let word = |settled: TieAction| match settled {
        TieAction::Kept
        | TieAction::Renewed
        | TieAction::Inserted
        | TieAction::Rewritten
        | TieAction::Learned
        | TieAction::Forgotten
        | TieAction::None => settled.as_str(),
    };
    assert_same("settled", all.into_iter().map(word));
}

#[test]
fn the_reference_lists_every_accepted_format_and_no_other() {
    assert_same("`format`", Format::ALL.into_iter().map(Format::as_str));
}

#[test]
fn the_reference_lists_every_metric_and_no_other() {
    let path = source("families.rs");
    let families: BTreeSet<String> = family_names(&fs::read_to_string(&path).unwrap());
    assert!(families.len() > 25, "{}: {families:?}", path.display());
    assert_same("family", families.iter().map(String::as_str));
}

#[test]
fn the_reference_names_every_move_cause_and_method() {
    let rows = rows(&read(REFERENCE));
    let row = |table: &str, name: &str| {
        let mut found = rows.iter().filter(|row| row.table == table && code(&row.cells[0]) == name);
        found.next().unwrap_or_else(|| panic!("no row {name} in the table {table}")).cells.join(" ")
    };
    let moved = row("family", "burdock_sessions_moved_total");
    let unnamed: Vec<&str> = Move::ALL.into_iter().map(Move::as_str).filter(|cause| !is_in_code(&moved, cause)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
    let method = row("log field", "method");
    let unnamed: Vec<&str> =
        Method::LABELS.into_iter().chain(["none"]).filter(|method_| !is_in_code(&method, method_)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
}

#[test]
fn the_reference_lists_the_log_fields_in_order() {
    let sources = files(&root().join("src")).into_iter().map(|path| fs::read_to_string(path).unwrap());
    let source = sources.filter(|text| text.contains("key!(\"client\")")).collect::<String>();
    let keys = source.split("key!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    // The tests of that file may repeat some of them.
    let mut fields = vec!["time"];
    for key in keys.filter(|key| key.len() > 1) {
        if !fields.contains(&key) {
            fields.push(key);
        }
    }
    assert!(fields.len() > 15, "{fields:?}");
    assert_eq!(names("log field"), fields);
}

#[test]
fn the_reference_lists_every_command_and_no_other() {
    let cli = root().join("src/cli");
    let read = |file: &str| fs::read_to_string(cli.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let top = subcommands(&read("mod.rs"), "Command");
    let keys = subcommands(&read("keys.rs"), "KeysCommand");
    let ctl = subcommands(&read("ctl/mod.rs"), "Command");
    let sessions = subcommands(&read("ctl/sessions.rs"), "SessionsCommand");
    assert!(top.len() >= 8 && ctl.len() >= 20 && sessions.len() >= 4 && !keys.is_empty());

    let of = |group: &str, below: &[String]| below.iter().map(|name| format!("{group} {name}")).collect::<Vec<_>>();
    let below = |all: Vec<String>, group: &str, names: &[String]| {
        assert!(all.iter().any(|name| name == group), "{group} is not among {all:?}");
        all.into_iter().filter(|name| name != group).chain(of(group, names)).collect::<BTreeSet<String>>()
    };
    assert_eq!(listed_commands("command", "burdock "), below(top, "keys", &keys));
    assert_eq!(listed_commands("command of `ctl`", "ctl "), below(ctl, "sessions", &sessions));
}

#[test]
fn every_page_on_moving_shows_examples_from_conf_examples() {
    let examples: Vec<String> = files(&root().join("conf/examples"))
        .iter()
        .map(|path| without_comments(&fs::read_to_string(path).unwrap()))
        .collect();
    for page in MOVING {
        let text = read(page);
        let blocks: Vec<&str> = yaml_blocks(&text).collect();
        assert!(!blocks.is_empty(), "{page} has no example");
        for block in blocks {
            let config = Config::parse(page, block).unwrap_or_else(|errors| panic!("{errors}\n{block}"));
            assert_eq!(config.warnings, [], "{page}: {block}");
            assert!(examples.contains(&without_comments(block)), "{page}: no file of conf/examples is\n{block}");
        }
    }
}

#[test]
fn every_sticky_entry_of_the_pages_on_moving_is_valid() {
    let checked: usize = MOVING.into_iter().map(check_sticky_entries).sum();
    assert!(checked > 20, "{checked}");
}

#[test]
fn every_link_of_the_pages_on_moving_resolves() {
    for page in MOVING {
        let text = read(page);
        let targets: Vec<&str> = links(&text).collect();
        assert!(targets.len() > 3, "{page}: {targets:?}");
        for target in targets {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = root().join("docs").join(file);
            assert!(path.exists(), "{page}: {target}");
            assert!(heading.is_empty() || anchors(&path).contains(heading), "{page}: {target}");
        }
        let linked = format!("]({}", page.trim_start_matches("docs/"));
        assert!(read(REFERENCE).contains(&linked), "the reference has no link to {page}");
    }
}

#[test]
fn the_reference_uses_common_terms() {
    const PHRASES: [&str; 8] = [
        "sticky session",
        "session persistence",
        "session affinity",
        "graceful shutdown",
        "zero downtime",
        "runtime override",
        "connection pool",
        "hash ring",
    ];
    let reference = read(REFERENCE).to_lowercase();
    let missing: Vec<&str> = PHRASES.into_iter().filter(|phrase| !reference.contains(phrase)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every part of the schema that has fields, by path. Alternatives contribute all their fields.
fn records() -> BTreeMap<String, Fields> {
    let schema = Config::schema();
    let mut records = BTreeMap::new();
    collect(&schema, "", &mut records);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        collect(definition, &format!("${name}"), &mut records);
    }
    records
}

fn collect(schema: &Value, path: &str, records: &mut BTreeMap<String, Fields>) {
    if let Some(Value::Array(alternatives)) = schema.get("anyOf") {
        alternatives.iter().for_each(|alternative| collect(alternative, path, records));
    }
    if let Some(entries) = schema.get("items") {
        collect(entries, &format!("{path}[]"), records);
    }
    if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        collect(values, &joined(path, "*"), records);
    }
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (name, property) in properties {
        records.entry(path.to_owned()).or_default().insert(name.clone(), field(schema, name, property));
        collect(property, &joined(path, name), records);
    }
}

fn field(record: &Value, name: &str, property: &Value) -> Field {
    let required = record.get("required").and_then(Value::as_array);
    let required = required.is_some_and(|required| required.iter().any(|required| required == name));
    Field { required, default: property.get("default").cloned() }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether the second cell of a row shows the schema's default.
fn is_default(cell: &str, field: &Field) -> bool {
    match &field.default {
        None if field.required => cell == "(required)",
        // Without a default, the cell says in words what applies.
        None => {
            !cell.is_empty()
                && cell != "(required)"
                && !(cell.starts_with('`') && cell.matches('`').count() == 2 && cell.ends_with('`'))
        }
        Some(Value::Object(map)) if map.is_empty() => cell == "see below" || cell == "`{}`",
        Some(Value::Object(map)) => flow(code(cell)).is_some_and(|written| written == texts(map)),
        Some(default) => {
            cell.starts_with('`') && (code(cell) == yaml(default) || code(cell) == format!("\"{}\"", yaml(default)))
        }
    }
}

/// A scalar or a list, as YAML has it.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// The fields of a map without maps in it: `{wait: 2s, then: temporary}`.
fn flow(text: &str) -> Option<BTreeMap<String, String>> {
    let fields = text.strip_prefix('{')?.strip_suffix('}')?.split(", ");
    fields.map(|field| field.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

fn texts(map: &Map<String, Value>) -> BTreeMap<String, String> {
    map.iter().map(|(name, value)| (name.clone(), yaml(value))).collect()
}

/// The rows of all field tables.
fn field_rows() -> Vec<Row> {
    let mut rows = rows(&read(REFERENCE));
    rows.retain(|row| row.table == "field" || row.table.starts_with("field of "));
    assert!(rows.len() > 120, "{}", rows.len());
    rows
}

fn name_of_row(heading: &str, table: &str, name: &str) -> String {
    format!("{heading}, {table}: {name}")
}

/// All rows of all tables of a page.
fn rows(page: &str) -> Vec<Row> {
    let (mut heading, mut table) = (String::new(), None);
    let mut rows = Vec::new();
    for line in outside_of_code(page) {
        if let Some(title) = line.strip_prefix('#') {
            title.trim_start_matches('#').trim().clone_into(&mut heading);
        }
        let Some(inner) = line.strip_prefix('|') else {
            table = None;
            continue;
        };
        let cells: Vec<String> = cells(inner);
        match &table {
            None => table = Some(cells[0].clone()),
            Some(_) if cells.iter().all(|cell| cell.starts_with("--")) => {}
            Some(table) => rows.push(Row { heading: heading.clone(), table: table.clone(), cells }),
        }
    }
    rows
}

/// The cells of a row after its first bar; `\|` is not a bar.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_end().trim_end_matches('|').replace("\\|", "\u{0}");
    row.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// The first code span of a cell, or the whole cell if it has none.
fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell)
}

/// Whether a name is a word in one of the code spans of a text.
fn is_in_code(text: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    spans(text).flat_map(|span| span.split(|c| !is_name(c))).any(|word| word == name)
}

/// Whether one of the code spans of a text has the name followed by `:` or `.`.
fn is_form(text: &str, name: &str) -> bool {
    let mut forms = spans(text).flat_map(|span| span.split(|c: char| !(c.is_alphanumeric() || "_:.".contains(c))));
    forms.any(|form| form.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '.'])))
}

/// The text between a heading and the next one.
fn section(page: &str, heading: &str) -> String {
    let is_heading = |line: &&str| line.starts_with('#');
    let is_this = |line: &&str| is_heading(line) && line.trim_start_matches('#').trim() == heading;
    let mut lines = outside_of_code(page).into_iter().skip_while(|line| !is_this(line));
    assert!(lines.next().is_some(), "there is no heading {heading}");
    lines.take_while(|line| !is_heading(line)).collect::<Vec<_>>().join("\n")
}

fn outside_of_code(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines
}

/// The names in the first cells of the table with this first header cell, in order.
fn names(table: &str) -> Vec<String> {
    rows(&read(REFERENCE)).iter().filter(|row| row.table == table).map(|row| code(&row.cells[0]).to_owned()).collect()
}

fn assert_same<'w>(table: &str, words: impl Iterator<Item = &'w str>) {
    let listed: BTreeSet<String> = names(table).into_iter().collect();
    let words: BTreeSet<String> = words.map(str::to_owned).collect();
    let difference: Vec<&String> = words.symmetric_difference(&listed).collect();
    assert!(
        difference.is_empty(),
        "in the source or in the table {table:?} of the reference, but not in both: {difference:?}"
    );
}

/// The commands that a table lists: the words after `group`, up to the first argument or option.
fn listed_commands(table: &str, group: &str) -> BTreeSet<String> {
    let is_command = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let command = |name: &String| {
        let words = name.strip_prefix(group).unwrap_or_else(|| panic!("{name:?} does not begin with {group:?}"));
        words.split_whitespace().take_while(is_command).collect::<Vec<_>>().join(" ")
    };
    let commands: BTreeSet<String> = names(table).iter().map(command).collect();
    assert!(!commands.is_empty(), "there is no table {table}");
    commands
}

/// The variants of an enum of subcommands as typed on the command line, without hidden ones.
fn subcommands(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("enum {name} {{\n")).unwrap_or_else(|| panic!("there is no enum {name}"));
    let body = body.split("\n}").next().unwrap();
    let mut hidden = false;
    let mut commands = Vec::new();
    for line in body.lines().filter_map(|line| line.strip_prefix("    ")) {
        if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            let variant: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            if !hidden {
                commands.push(kebab(&variant));
            }
            hidden = false;
        }
        hidden |= line.starts_with("#[command(") && line.contains("hide = true");
    }
    commands
}

/// `MaxConns` → `max-conns`.
fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The names of metric families: those that are registered, and those of servers.
fn family_names(source: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let behind = |before: &'static str| source.split(before).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let starts = ["registry,", "named(", "ServerFamily::counter(", "ServerFamily::gauge("];
    let names = starts.into_iter().flat_map(behind).filter_map(|rest| rest.split('"').next());
    let of_process = source.split('"').filter(|text| text.starts_with("process_"));
    names.filter(is_name).map(|name| format!("burdock_{name}")).chain(of_process.map(str::to_owned)).collect()
}

fn without_comments(yaml: &str) -> String {
    let lines = yaml.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The only source of this name.
fn source(name: &str) -> PathBuf {
    let mut found = files(&root().join("src"));
    found.retain(|path| path.file_name().is_some_and(|own| own == name));
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found.remove(0)
}
