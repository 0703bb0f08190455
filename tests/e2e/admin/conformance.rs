//! The API against its OpenAPI document: schemathesis sends valid, invalid and borderline requests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Reply, Site, run, shop};

use super::access::{TOKEN, write_token};

const SETTINGS: &str = "sticky: [{cookie: {idle_timeout: 1s}}, \
                        {learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID, table: sessions}}]\n";
const REST: &str =
    "admin: {address: $IP:9180, token_file: $DIR/token}\ntables: {sessions: {capacity: 1000, idle_timeout: 1s}}\n";

/// Where `scripts/install full` installs it.
fn schemathesis() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Into::into);
    target.join("schemathesis/bin/schemathesis")
}

#[test]
#[ignore = "needs schemathesis, which scripts/install full installs; takes a minute"]
fn the_api_conforms_to_its_openapi_document() {
    let site = Site::new();
    let origins = site.origins::<2>();
    origins.iter().for_each(|origin| origin.respond_with(|_| Reply::with("Set-Cookie", "JSESSIONID=a-session-that-lives")));
    write_token(&site, TOKEN);
    let burdock = site.burdock(&format!("{REST}{}", shop(2, SETTINGS)));
    burdock.get("/");
    // Existing names, so that not every response is a 404, and rules that a schema cannot express: what an address is, which
    // fields belong together.
    let names = "[dictionaries]\nupstreams = { values = [\"shop\"] }\nservers = { values = [\"web-1\", \"web-2\"] }\n\
                 tables = { values = [\"sessions\"] }\n\n[parameters]\n\
                 \"path.upstream\" = { dictionary = \"upstreams\", probability = 0.8 }\n\
                 \"path.server\" = { dictionary = \"servers\", probability = 0.8 }\n\
                 \"path.table\" = { dictionary = \"tables\", probability = 0.8 }\n\n\
                 [[operations]]\n\
                 include-operation-id = [\"add_server\", \"change_server\", \"remove_server\"]\nchecks = { \
                 positive_data_acceptance = { expected-statuses = [\"2xx\", 401, 403, 404, 409, 412, 422] } }\n";
    let config = site.write("schemathesis.toml", names);
    let found = run(Command::new(schemathesis())
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("http://{}/api/v1/openapi.json", burdock.admin), "--header"])
        .arg(format!("Authorization: Bearer {TOKEN}"))
        // An upgrade would replace the process in the middle of the run.
        .args(["--exclude-operation-id", "upgrade"])
        .args(["--checks", "all", "--seed", "1", "--max-examples", "50", "--no-color", "--continue-on-failure"])
        .current_dir(site.dir()));
    assert_eq!(found.code, Some(0), "{}\n{}", found.stdout, found.stderr);
}
