//! Learned sessions outlive the process: an orderly end, a kill at any moment, a disk that is full.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::harness::{Burdock, Origin, Reply, Request, Site, rounds, shop, wait_until};

const LEARN: &str = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: sessions}}]";
const TABLES: &str = "tables: {sessions: {idle_timeout: 1h}}\n";

/// An application that makes a session where the request brings none, and says in its name who made it.
fn teaches(origin: &Origin, made: &'static AtomicUsize) {
    let name = origin.name.clone();
    origin.behave(move |request| {
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

/// A new session: its name, as the application has set it.
fn session(burdock: &Burdock) -> String {
    let response = burdock.get("/");
    let cookie = response.set_cookies()[0].to_owned();
    cookie.split([';', '=']).nth(1).expect("a value").to_owned()
}

/// Whether a session is served by the server that made it.
fn holds(burdock: &Burdock, session: &str) -> bool {
    let response = burdock.ask(&Request::get("/").header("Cookie", &format!("JSESSIONID={session}")));
    session.starts_with(&format!("{}-session-", response.served_by()))
}

#[test]
fn sessions_outlive_an_orderly_end() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let sessions: Vec<String> = (0..60).map(|_| session(&burdock)).collect();
    burdock.signal("TERM");
    assert!(burdock.wait().success());
    let burdock = site.burdock(&yaml());
    assert!(sessions.iter().all(|session| holds(&burdock, session)));
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]), 60.0);
    burdock.tells("60 sessions");
}

#[test]
fn after_a_kill_at_most_the_last_second_is_lost() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut older: Vec<String> = Vec::new();
    for round in 0..rounds(100) {
        let mut burdock = site.burdock(&yaml());
        let lost: Vec<&String> = older.iter().filter(|session| !holds(&burdock, session)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}\n{}", burdock.stderr());
        older.truncate(40);
        older.extend((0..20).map(|_| session(&burdock)));
        // What is older than a second is safe; what is made now is lost or not.
        let safe = Instant::now() + Duration::from_millis(1_050);
        while Instant::now() < safe {
            session(&burdock);
        }
        burdock.kill();
        assert!(!burdock.stderr().contains("panicked"), "{}", burdock.stderr());
    }
}

#[test]
fn so_it_is_while_the_disk_hangs() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut burdock = Burdock::start_with(&site, &yaml(), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")));
    let journal = site.path("state/sessions/sessions/journal.1");
    let octets = || std::fs::metadata(&journal).map_or(0, |file| file.len());
    let stuck = site.write("stuck", "");
    let begun = Instant::now();
    let mut sessions = Vec::new();
    // A journal waits for the disk when something in it is five seconds old.
    while begun.elapsed() < Duration::from_secs(7) {
        let before = octets();
        sessions.push(session(&burdock));
        wait_until("it is in the journal", || octets() > before);
    }
    burdock.kill();
    std::fs::remove_file(stuck).unwrap();
    let burdock = site.burdock(&yaml());
    assert!(sessions.iter().all(|session| holds(&burdock, session)));
}

#[test]
fn what_is_torn_or_damaged_is_cut_off_and_told() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let sessions: Vec<String> = (0..30).map(|_| session(&burdock)).collect();
    burdock.signal("TERM");
    assert!(burdock.wait().success());
    let folder = site.dir().join("state/sessions/sessions");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    let largest = files.last().unwrap();
    let octets = std::fs::read(largest).unwrap();
    std::fs::write(largest, &octets[..octets.len() - 7]).unwrap();
    let burdock = site.burdock(&yaml());
    burdock.tells("cut");
    assert_eq!(burdock.get("/").status, 200);
    assert!(sessions.iter().any(|session| holds(&burdock, session)), "what stands before the damage is read");
}

#[test]
fn another_fingerprint_key_forgets_every_session_and_says_so() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    session(&burdock);
    burdock.signal("TERM");
    assert!(burdock.wait().success());
    std::fs::remove_file(site.dir().join("state/fingerprint-key")).unwrap();
    let burdock = site.burdock(&yaml());
    burdock.tells("fingerprint key");
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]), 0.0);
}

#[test]
fn a_session_id_is_written_nowhere() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::take();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| teaches(origin, &MADE));
    let mut burdock = site.burdock(&yaml());
    let made = session(&burdock);
    wait_until("it is on disk", || burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]) == 1.0);
    burdock.signal("TERM");
    assert!(burdock.wait().success());
    assert!(!burdock.stdout().contains(&made) && !burdock.stderr().contains(&made));
    for file in walk(&site.dir().join("state")) {
        let octets = std::fs::read(&file).unwrap();
        assert!(!octets.windows(made.len()).any(|window| window == made.as_bytes()), "{}", file.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
