//! `explain`: the decision for a request that is not sent, with the same reasons as the access log.

use serde_json::Value;

use crate::harness::{CommandOutput, Site, TokenCodec, burdock, run, shop, with_defaults};

const URL: &str = "http://shop.example.com/cart";

fn explain(site: &Site, args: &[&str]) -> CommandOutput {
    let yaml = format!("keys: [{{file: $DIR/key}}]\n{}", shop(3, "sticky: [{cookie: {idle_timeout: 30m}}]"));
    let file = site.write("explained.yaml", &with_defaults(&yaml));
    burdock([&["explain", "-c", file.to_str().unwrap()], args, &[URL]].concat()).ok()
}

fn with_cookie(token: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Cookie: BURDOCK_shop={token}")]
}

/// The reason and the server of `--json`.
fn answer(site: &Site, header: &[String]) -> (String, String) {
    let mut args: Vec<&str> = vec!["--json"];
    args.extend(header.iter().map(String::as_str));
    let output: Value = serde_json::from_str(&explain(site, &args).stdout).unwrap();
    let text = |field: &str| output[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("server"))
}

#[test]
fn explain_names_the_reason_and_the_server() {
    let site = Site::new();
    let codec = TokenCodec::new(&site, "key", "shop");
    let unknown_codec = TokenCodec::new(&site, "other", "shop");
    assert_eq!(answer(&site, &with_cookie(&codec.token("web-2", 10, 10))), ("hit".to_owned(), "web-2".to_owned()));
    assert_eq!(answer(&site, &[]).0, "new");
    assert_eq!(answer(&site, &with_cookie("forged")).0, "bad_token");
    assert_eq!(answer(&site, &with_cookie(&unknown_codec.token("web-2", 10, 10))).0, "unknown_key");
    assert_eq!(answer(&site, &with_cookie(&codec.token("web-2", 86_400, 40_000))).0, "expired_idle");
}

#[test]
fn explain_places_names_by_the_configured_fingerprint_key_and_generates_nothing() {
    let site = Site::new();
    site.write("fingerprints", &format!("{}\n", "5e".repeat(32)));
    let sticky = "sticky: [{learn: {create: set_cookie:SID, lookup: cookie:SID}}]";
    let explained = |key: &str| {
        let file = site.write("explained.yaml", &with_defaults(&format!("{key}\n{}", shop(9, sticky))));
        let args = ["explain", "-c", file.to_str().unwrap(), "--json", "-H", "Cookie: SID=0123456789", URL];
        let output = burdock(args).ok();
        assert!(!output.stderr.contains("no keys"), "nothing is sealed: {}", output.stderr);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap();
        answer["server"].as_str().unwrap().to_owned()
    };
    let servers: std::collections::BTreeSet<_> =
        (0..6).map(|_| explained("fingerprint_key: {file: $DIR/fingerprints}")).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    explained("");
    assert_eq!(std::fs::read_dir(site.path("state")).unwrap().count(), 0);
}

#[test]
fn explain_prints_server_reason_and_cookie_as_text() {
    let site = Site::new();
    let codec = TokenCodec::new(&site, "key", "shop");
    let new_client = explain(&site, &[]).stdout;
    assert!(
        new_client.contains("new") && new_client.contains("web-") && new_client.contains("BURDOCK_shop="),
        "{new_client}"
    );
    let [flag, header] = with_cookie(&codec.token("web-2", 10, 10));
    let pinned = explain(&site, &[&flag, &header]).stdout;
    assert!(pinned.contains("hit") && pinned.contains("web-2"), "{pinned}");
    assert!(!pinned.to_ascii_lowercase().contains("set-cookie: burdock_shop="), "no cookie would be set: {pinned}");
}

#[test]
fn explain_accepts_an_assumed_application_response() {
    let site = Site::new();
    let sticky = "sticky: [{cookie: {name: S, mode: prefix, token: plain}}]";
    let file = site.write("explained.yaml", &with_defaults(&shop(2, sticky)));
    let request = ["-H", "Cookie: S=web-1~1", "--down", "web-1", "--response-header", "Set-Cookie: S=2; Path=/", URL];
    let output = burdock([&["explain", "-c", file.to_str().unwrap()][..], &request].concat()).ok().stdout;
    for line in [
        "claim     cookie S: tied to web-1\n",
        "to server burdock-affinity: moved; from=web-1; reason=down\n",
        "settled   rewritten\n",
        "Set-Cookie: S=web-2~2; Path=/\n",
    ] {
        assert!(output.contains(line), "{line} in {output}");
    }
}

#[test]
fn explain_allocates_no_session_table() {
    let site = Site::new();
    let learning = shop(3, "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}]");
    let file = site.write("large.yaml", &with_defaults(&format!("tables: {{shop: {{capacity: 100000000}}}}\n{learning}")));
    // A table of this size takes 4.3 GB.
    let limited = "ulimit -v 1000000; exec \"$0\" explain -c \"$1\" -H 'Cookie: JSESSIONID=A1B2C3D4' \"$2\"";
    let mut explain = std::process::Command::new("sh");
    explain.args(["-c", limited, env!("CARGO_BIN_EXE_burdock"), file.to_str().unwrap(), URL]);
    let output = run(&mut explain).ok().stdout;
    assert!(output.contains("unknown_session") && output.contains("web-"), "{output}");
}
