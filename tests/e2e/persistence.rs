//! Learned sessions survive the process: a graceful shutdown, a kill at any moment, a hanging disk, a torn file.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::harness::{Burdock, Origin, Reply, Request, Site, rounds, shop, wait_until};

const LEARN: &str = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: sessions}}]";
const TABLES: &str = "tables: {sessions: {idle_timeout: 1h}}\n";

/// Makes an origin begin a session for each request without one. The session id names the server that created it.
fn creates_sessions(origin: &Origin, made: &'static AtomicUsize) {
    let name = origin.name.clone();
    origin.respond_with(move |request| {
        if request.header("cookie").is_some_and(|cookie| cookie.contains("JSESSIONID=")) {
            return Reply::status(200);
        }
        let session = format!("{name}-session-{:08}", made.fetch_add(1, Relaxed));
        Reply::with("Set-Cookie", &format!("JSESSIONID={session}; Path=/"))
    });
}

fn yaml() -> String {
    format!("{TABLES}{}", shop(3, LEARN))
}

/// Begins a session and returns its id as the application set it.
fn session(burdock: &Burdock) -> String {
    let response = burdock.get("/");
    let cookie = response.set_cookies()[0].to_owned();
    cookie.split([';', '=']).nth(1).expect("a value").to_owned()
}

/// Whether the server that created a session serves it.
fn holds(burdock: &Burdock, session: &str) -> bool {
    let response = burdock.ask(&Request::get("/").header("Cookie", &format!("JSESSIONID={session}")));
    session.starts_with(&format!("{}-session-", response.served_by()))
}

#[test]
fn learned_sessions_survive_a_graceful_shutdown() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let sessions: Vec<String> = (0..60).map(|_| session(&burdock)).collect();
    burdock.signal("TERM");
    assert!(burdock.wait_for_exit_and_output().success());
    let burdock = site.burdock(&yaml());
    assert!(sessions.iter().all(|session| holds(&burdock, session)));
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]), 60.0);
    burdock.wait_for_log("60 sessions");
}

#[test]
fn a_kill_loses_at_most_the_last_second_of_sessions() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut older: Vec<String> = Vec::new();
    for round in 0..rounds(100) {
        let mut burdock = site.burdock(&yaml());
        let lost: Vec<&String> = older.iter().filter(|session| !holds(&burdock, session)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}\n{}", burdock.stderr());
        older.truncate(40);
        older.extend((0..20).map(|_| session(&burdock)));
        // Sessions older than a second are safe; those created now may be lost.
        let safe = Instant::now() + Duration::from_millis(1_050);
        while Instant::now() < safe {
            session(&burdock);
        }
        burdock.kill();
        assert!(!burdock.stderr().contains("panicked"), "{}", burdock.stderr());
    }
}

#[test]
fn journaled_sessions_survive_a_kill_while_the_disk_hangs() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut burdock = Burdock::start_with(&site, &yaml(), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")));
    let journal = site.path("state/sessions/sessions/journal.1");
    let bytes = || std::fs::metadata(&journal).map_or(0, |file| file.len());
    let stuck = site.write("stuck", "");
    let started = Instant::now();
    let mut sessions = Vec::new();
    // The journal is synced to disk once its oldest entry is five seconds old.
    while started.elapsed() < Duration::from_secs(7) {
        let before = bytes();
        sessions.push(session(&burdock));
        wait_until("it is in the journal", || bytes() > before);
    }
    burdock.kill();
    std::fs::remove_file(stuck).unwrap();
    let burdock = site.burdock(&yaml());
    assert!(sessions.iter().all(|session| holds(&burdock, session)));
}

#[test]
fn a_torn_session_file_is_cut_and_reported() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let sessions: Vec<String> = (0..30).map(|_| session(&burdock)).collect();
    burdock.signal("TERM");
    assert!(burdock.wait_for_exit_and_output().success());
    let directory = site.dir().join("state/sessions/sessions");
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    let largest = files.last().unwrap();
    let bytes = std::fs::read(largest).unwrap();
    std::fs::write(largest, &bytes[..bytes.len() - 7]).unwrap();
    let burdock = site.burdock(&yaml());
    burdock.wait_for_log("cut");
    assert_eq!(burdock.get("/").status, 200);
    assert!(sessions.iter().any(|session| holds(&burdock, session)), "sessions before the damage are read");
}

#[test]
fn a_new_fingerprint_key_drops_all_sessions_and_is_reported() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    session(&burdock);
    burdock.signal("TERM");
    assert!(burdock.wait_for_exit_and_output().success());
    std::fs::remove_file(site.dir().join("state/fingerprint-key")).unwrap();
    let burdock = site.burdock(&yaml());
    burdock.wait_for_log("fingerprint key");
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]), 0.0);
}

#[test]
fn a_session_id_is_never_written_to_disk_or_output() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| creates_sessions(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let made = session(&burdock);
    wait_until("it is on disk", || burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]) == 1.0);
    burdock.signal("TERM");
    assert!(burdock.wait_for_exit_and_output().success());
    assert!(!burdock.stdout().contains(&made) && !burdock.stderr().contains(&made));
    for file in walk(&site.dir().join("state")) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(made.len()).any(|window| window == made.as_bytes()), "{}", file.display());
    }
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
