//! burdock.yaml(5): every field of the configuration with its default and its description, from the JSON Schema. It knows no field.

use burdock::config::Config;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use serde_json::Value;

const SHORTEST: [&str; 5] = [
    "listeners: [127.0.0.1:8080]",
    "upstreams:",
    "  shop:",
    "    servers: [127.0.0.1:3001, 127.0.0.1:3002]",
    "    sticky: cookie",
];
const FORMAT: &str = "The configuration of Burdock is one YAML document. Unknown fields, duplicate fields and YAML tags are errors. \
Every field has a default unless it is marked as required. Times are numbers with a unit: ms, s, m, h or d. Sizes have the units B, KiB, MiB \
or GiB.";
const PATHS: &str = "A field is named by its path from the top of the document: NAME stands for a name that you choose, and [] for each entry \
of a list. Where fields exclude each other, a value has one of them.";

/// The page as roff.
pub fn page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["burdock.yaml", "5", concat!("burdock ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]).text([roman("burdock.yaml - configuration of the Burdock load balancer")]);
    page.control("SH", ["SYNOPSIS"]).text([bold("/etc/burdock/burdock.yaml")]);
    page.control("SH", ["DESCRIPTION"]).text([roman(FORMAT)]);
    page.control("PP", []);
    page.text([
        bold("burdock check"),
        roman(" reports all mistakes in a file. "),
        bold("burdock ctl reload"),
        roman(" applies it."),
    ]);
    page.control("PP", []).text([roman(PATHS)]);
    page.control("SH", ["EXAMPLE"]).control("nf", []);
    for line in SHORTEST {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    let schema = Config::schema();
    page.control("SH", ["FIELDS"]);
    fields(&mut page, &schema, "");
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        page.control("SH", [&*title(name)]);
        page.text([roman(description(definition))]);
        fields(&mut page, definition, "");
    }
    page.control("SH", ["FILES"])
        .text([italic("/usr/share/doc/burdock/burdock.yaml"), roman(" shows every field with its default.")]);
    page.control("PP", []);
    page.text([italic("/usr/share/doc/burdock/reference.md"), roman(" explains them, with examples.")]);
    page.control("SH", ["SEE ALSO"]).text([
        bold("burdock"),
        roman("(1), "),
        bold("burdock-check"),
        roman("(1), "),
        bold("burdock-ctl"),
        roman("(1)"),
    ]);
    page.render()
}

/// The heading of a definition, to which other fields refer.
fn title(definition: &str) -> String {
    definition.replace('_', " ").to_uppercase()
}

/// The fields of a value, and those below them.
fn fields(page: &mut Roff, schema: &Value, path: &str) {
    list(schema, "anyOf").for_each(|alternative| fields(page, alternative, path));
    if let Some(entry) = schema.get("items") {
        fields(page, entry, &format!("{path}[]"));
    }
    if let Some(value @ Value::Object(_)) = schema.get("additionalProperties") {
        fields(page, value, &joined(path, "NAME"));
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = joined(path, name);
        page.control("TP", []).text(heading(&path, field, is_required(schema, name)));
        page.text([roman(description(field))]);
        fields(page, field, &path);
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_required(record: &Value, name: &str) -> bool {
    // A field that stands alone is one form of the value rather than required.
    list(record, "required").any(|required| required == name)
        && record["properties"].as_object().is_some_and(|all| all.len() > 1)
}

fn heading(path: &str, field: &Value, required: bool) -> Vec<Inline> {
    let mut heading = vec![bold(path)];
    match field.get("default") {
        Some(Value::Object(fields)) if fields.is_empty() => {}
        Some(Value::String(default)) => heading.extend([roman(", default "), italic(default)]),
        Some(default) => heading.extend([roman(", default "), italic(default.to_string())]),
        None if required => heading.push(roman(", required")),
        None => {}
    }
    heading
}

/// What the schema says of a value, in sentences.
fn description(schema: &Value) -> String {
    // The schema lists words as sentences between semicolons.
    let own = schema.get("description").and_then(Value::as_str).map(|text| text.replace(".; ", "; "));
    let mut sentences: Vec<String> = own.into_iter().collect();
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    sentences.extend(reference.map(|name| format!("See {}.", title(name))));
    sentences.extend(values(schema));
    for part in list(schema, "anyOf").chain(schema.get("items")) {
        sentences.extend(Some(description(part)).filter(|text| !text.is_empty()));
    }
    sentences.dedup();
    sentences.join(" ")
}

/// The words and numbers that are allowed.
fn values(schema: &Value) -> Option<String> {
    let number = |name| schema.get(name).map(Value::to_string);
    let words: Vec<&str> = list(schema, "enum").filter_map(Value::as_str).collect();
    match (number("minimum"), number("maximum")) {
        // Their description explains each.
        _ if !words.is_empty() && schema.get("description").is_some() => None,
        _ if !words.is_empty() => Some(format!("One of: {}.", words.join(", "))),
        (Some(from), Some(to)) => Some(format!("From {from} to {to}.")),
        (Some(from), None) => Some(format!("At least {from}.")),
        (None, Some(to)) => Some(format!("At most {to}.")),
        (None, None) => None,
    }
}

fn list<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = &'s Value> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_field_with_its_default() {
        let page = page();
        let has = |text: &str| assert!(page.contains(text), "no {text} in:\n{page}");
        has("\\fBlisteners[].address\\fR, required\n");
        has("\\fBupstreams.NAME.balance\\fR, default \\fIround_robin\\fR\n");
        has("\\fBprocess.shutdown.lame_duck\\fR, default \\fI5s\\fR\n");
        has(".SH \"STICKY ENTRY\"");
        has("See SOURCES.");
    }

    #[test]
    fn enumerations_and_limits_are_said() {
        let both = serde_json::json!({"description": "A port.", "minimum": 1, "maximum": 9, "type": "integer"});
        assert_eq!(description(&both), "A port. From 1 to 9.");
        let words = serde_json::json!({"anyOf": [{"enum": ["none"]}, {"$ref": "#/$defs/single_source"}]});
        assert_eq!(description(&words), "One of: none. See SINGLE SOURCE.");
    }
}
