//! `explain`: the decision for a request that is not sent, in the same words.

use serde_json::Value;

use crate::harness::{Finished, Mint, Site, burdock, complete, run, shop};

const URL: &str = "http://shop.example.com/cart";

fn explain(site: &Site, args: &[&str]) -> Finished {
    let yaml = format!("keys: [{{file: $DIR/key}}]\n{}", shop(3, "sticky: [{cookie: {idle_timeout: 30m}}]"));
    let file = site.write("explained.yaml", &complete(&yaml));
    burdock([&["explain", "-c", file.to_str().unwrap()], args, &[URL]].concat()).ok()
}

fn with_cookie(token: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Cookie: BURDOCK_shop={token}")]
}

/// The reason and the server of `--json`.
fn answer(site: &Site, header: &[String]) -> (String, String) {
    let mut args: Vec<&str> = vec!["--json"];
    args.extend(header.iter().map(String::as_str));
    let said: Value = serde_json::from_str(&explain(site, &args).stdout).unwrap();
    let text = |field: &str| said[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("server"))
}

#[test]
fn it_names_the_reason_and_the_server() {
    let site = Site::take();
    let mint = Mint::new(&site, "key", "shop");
    let stranger = Mint::new(&site, "other", "shop");
    assert_eq!(answer(&site, &with_cookie(&mint.token("web-2", 10, 10))), ("hit".to_owned(), "web-2".to_owned()));
    assert_eq!(answer(&site, &[]).0, "new");
    assert_eq!(answer(&site, &with_cookie("forged")).0, "bad_token");
    assert_eq!(answer(&site, &with_cookie(&stranger.token("web-2", 10, 10))).0, "unknown_key");
    assert_eq!(answer(&site, &with_cookie(&mint.token("web-2", 86_400, 40_000))).0, "expired_idle");
}

#[test]
fn it_says_in_text_where_why_and_which_cookie_would_be_set() {
    let site = Site::take();
    let mint = Mint::new(&site, "key", "shop");
    let newcomer = explain(&site, &[]).stdout;
    assert!(newcomer.contains("new") && newcomer.contains("web-") && newcomer.contains("BURDOCK_shop="), "{newcomer}");
    let [flag, header] = with_cookie(&mint.token("web-2", 10, 10));
    let tied = explain(&site, &[&flag, &header]).stdout;
    assert!(tied.contains("hit") && tied.contains("web-2"), "{tied}");
    assert!(!tied.to_ascii_lowercase().contains("set-cookie: burdock_shop="), "nothing would change: {tied}");
}

#[test]
fn what_the_application_would_answer_can_be_said_too() {
    let site = Site::take();
    let sticky = "sticky: [{cookie: {name: S, mode: prefix, token: plain}}]";
    let file = site.write("explained.yaml", &complete(&shop(2, sticky)));
    let request = ["-H", "Cookie: S=web-1~1", "--down", "web-1", "--response-header", "Set-Cookie: S=2; Path=/", URL];
    let told = burdock([&["explain", "-c", file.to_str().unwrap()][..], &request].concat()).ok().stdout;
    for line in [
        "claim     cookie S: tied to web-1\n",
        "to server burdock-affinity: moved; from=web-1; reason=down\n",
        "settled   rewritten\n",
        "Set-Cookie: S=web-2~2; Path=/\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

#[test]
fn it_takes_no_memory_for_sessions() {
    let site = Site::take();
    let learning = shop(3, "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID}}]");
    let file = site.write("large.yaml", &complete(&format!("tables: {{shop: {{capacity: 100000000}}}}\n{learning}")));
    // A table of this size takes 4.3 GB.
    let limited = "ulimit -v 1000000; exec \"$0\" explain -c \"$1\" -H 'Cookie: JSESSIONID=A1B2C3D4' \"$2\"";
    let mut explain = std::process::Command::new("sh");
    explain.args(["-c", limited, env!("CARGO_BIN_EXE_burdock"), file.to_str().unwrap(), URL]);
    let said = run(&mut explain).ok().stdout;
    assert!(said.contains("unknown_session") && said.contains("web-"), "{said}");
}
