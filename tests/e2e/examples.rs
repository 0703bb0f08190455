//! Every configuration shown to users is valid, runs, and does what it says.

mod clients;
mod haproxy;
mod nginx;
mod tengine;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::harness::{Burdock, Origin, Page, ReceivedRequest, Reply, Request, Site, burdock, curl};
use crate::stickiness::field;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a directory with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found
}

/// Checks a text as a configuration, with a generated key file.
fn check(site: &Site, name: &str, text: &str) {
    let key = site.path("key");
    if !key.exists() {
        burdock(["keys".as_ref(), "new".as_ref(), key.as_os_str()]).ok();
    }
    let file = site.write("example.yaml", &with_key(text, &key.display().to_string()));
    let checked = burdock(["check".as_ref(), "-c".as_ref(), file.as_os_str()]);
    assert_eq!(checked.code, Some(0), "{name}:\n{text}\n{}", checked.stderr);
}

/// The text with each list of key files replaced by this one, since the files that it names do not exist.
fn with_key(text: &str, key: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("keys: [") {
        Some(_) => format!("keys: [{{file: {key}}}]"),
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn every_file_in_conf_is_a_valid_configuration() {
    let site = Site::new();
    let all = files(&root().join("conf"), "yaml");
    assert!(!all.is_empty());
    for file in all {
        check(&site, &file.display().to_string(), &std::fs::read_to_string(&file).unwrap());
    }
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let site = Site::new();
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole: Vec<_> = blocks.filter(|block| block.lines().any(|line| line.starts_with("upstreams:"))).collect();
    assert!(!whole.is_empty(), "the README shows a configuration");
    for block in whole {
        check(&site, "README.md", block);
    }
}

/// Sections that the site overrides in a file of conf/examples.
const OF_THE_SITE: [&str; 5] = ["listeners", "admin", "process", "access_log", "keys"];

/// Runs a file of conf/examples in front of the site's servers, whose ports are 3001 and up in the file.
fn run(site: &Site, file: &str) -> Burdock {
    run_file(site, &root().join("conf/examples").join(file))
}

fn run_file(site: &Site, file: &Path) -> Burdock {
    let text = std::fs::read_to_string(file).unwrap();
    let mut own = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]\n".to_owned();
    let mut skipping = false;
    for line in text.lines() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            skipping = OF_THE_SITE.iter().any(|key| line.starts_with(&format!("{key}:")));
        }
        if !skipping {
            own += &line.replace("127.0.0.1:300", "$IP:900");
            own.push('\n');
        }
    }
    assert!(own.contains("$IP:9001"), "{} has servers", file.display());
    site.burdock(&own)
}

/// A request from the client at this address.
fn from(address: &str) -> Request {
    Request::get("/").header("X-Forwarded-For", address)
}

/// The last request that this server received.
fn last(origins: &[Origin], name: &str) -> ReceivedRequest {
    origins.iter().find(|origin| origin.name == name).expect("a server of that name").last()
}

#[test]
fn every_file_in_conf_runs() {
    for file in files(&root().join("conf"), "yaml") {
        let site = Site::new();
        let _origins = site.origins::<4>();
        let burdock = run_file(&site, &file);
        assert_eq!(burdock.get("/").status, 200, "{}", file.display());
    }
}

/// An application in the style of express-session: only one process knows a logged-in user.
fn login_application(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let sessions: Mutex<HashMap<String, String>> = Mutex::default();
    let prefix = format!("s-{name}-");
    move |request| {
        let mut sessions = sessions.lock().unwrap();
        let cookies = request.header("cookie").unwrap_or_default().to_owned();
        let session = cookies.split("; ").find_map(|pair| pair.strip_prefix("connect.sid=")).map(str::to_owned);
        if (request.method(), request.path()) == ("POST", "/login") {
            let session = format!("{prefix}{}", sessions.len());
            let user = String::from_utf8_lossy(&request.body).replace("user=", "");
            sessions.insert(session.clone(), user);
            return Page::new(302)
                .header("Location", "/")
                .header("Set-Cookie", &format!("connect.sid={session}; Path=/; HttpOnly"))
                .into();
        }
        let user = session.and_then(|session| sessions.get(&session).cloned());
        Page::new(200).body(user.map_or_else(|| "Please log in.".to_owned(), |user| format!("Welcome back, {user}!"))).into()
    }
}

#[test]
fn the_login_example_keeps_its_users_logged_in() {
    let site = Site::new();
    let origins = site.origins::<4>();
    let burdock = run(&site, "express-login.yaml");
    origins.iter().for_each(|origin| origin.respond_with(login_application(&origin.name)));
    let mut homes = BTreeSet::new();
    for user in ["ann", "bob", "cy", "di"] {
        let jar = site.path(user);
        curl(&jar, burdock.listen, "/", &[]).ok();
        let login = curl(&jar, burdock.listen, "/login", &["-d", &format!("user={user}")]).ok();
        assert!(login.stdout.contains("302"), "{login:?}");
        for _ in 0..5 {
            let page = curl(&jar, burdock.listen, "/", &[]).ok().stdout;
            assert!(page.ends_with(&format!("Welcome back, {user}!")), "{page}");
            homes.insert(field(&page, "x-served-by"));
        }
    }
    assert!(homes.len() > 1, "more than one server has users: {homes:?}");
}

#[test]
fn the_shortest_example_keeps_every_browser_on_its_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = run(&site, "cookie-insert.yaml");
    let homes: BTreeSet<_> = (0..6)
        .map(|_| {
            let mut client = burdock.client();
            let home = client.get("/").served_by().to_owned();
            (0..5).for_each(|_| assert_eq!(client.get("/").served_by(), home));
            home
        })
        .collect();
    assert_eq!(homes.len(), 3);
}
