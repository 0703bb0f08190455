//! Learned sessions whose server goes down.

use super::{AT_END, TOMCAT, application, applications, login, served, with_cookie, words, words_of};
use crate::harness::{Burdock, Reply, Request, Site, eventually};

/// The id of a new session on this server.
fn started_on(burdock: &Burdock, server: &str) -> String {
    let mut tries = 0;
    eventually("a session on the server", || {
        let name = format!("A1B2C3D4-{tries}");
        tries += 1;
        (login(burdock, &name) == server).then_some(name)
    })
}

#[test]
fn a_session_of_a_killed_server_moves_once_and_stays() {
    let site = Site::new();
    let mut doomed = site.origin_process(1);
    let _others = [site.origin(2), site.origin(3)];
    let burdock = site.shop(3, TOMCAT);
    let name = eventually("a session on the server", || {
        let response = burdock.get("/set?JSESSIONID=A1B2C3D4");
        (response.served_by() == "web-1").then_some("A1B2C3D4")
    });
    assert_eq!(words_of(&burdock, "/before", name), ["hit", "learn", "kept"]);
    doomed.kill();
    let moved = served(&burdock, &with_cookie("/moved", name));
    let line = burdock.log_line("/moved");
    assert_eq!(
        (words(&line), line.text("from")),
        (["redispatched", "learn", "rewritten"].map(str::to_owned), "web-1".into())
    );
    let _restored = site.origin_process(1);
    (0..4).for_each(|_| assert_eq!(served(&burdock, &with_cookie("/after", name)), moved));
    assert_eq!(words(&burdock.log_line("/after")), ["hit", "learn", "kept"]);
}

#[test]
fn a_session_on_a_detour_returns_to_its_server() {
    let site = Site::new();
    let mut origins: Vec<_> = applications::<3>(&site).into();
    let burdock = site.shop(3, &format!("{TOMCAT}\nfailover: {{down: temporary}}"));
    let name = started_on(&burdock, "web-1");
    drop(origins.remove(0));
    let away = served(&burdock, &with_cookie("/away", &name));
    (0..4).for_each(|_| assert_eq!(served(&burdock, &with_cookie("/still-away", &name)), away, "a detour has one server"));
    let line = burdock.log_line("/away");
    assert_eq!((words(&line)[2].as_str(), line.text("from")), ("none", "web-1".to_owned()));
    let _restored = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(served(&burdock, &with_cookie("/back", &name)), "web-1");
    assert_eq!(words(&burdock.log_line("/back")), ["hit", "learn", "kept"]);
}

#[test]
fn a_detour_becomes_a_move_when_the_substitute_creates_a_session() {
    for sticky in [TOMCAT, AT_END] {
        let site = Site::new();
        let mut origins: Vec<_> = applications::<3>(&site).into();
        let burdock = site.shop(3, &format!("{sticky}\nfailover: {{down: temporary}}"));
        let name = started_on(&burdock, "web-1");
        drop(origins.remove(0));
        let restarted = burdock.ask(&with_cookie("/login?JSESSIONID=B2C3D4E5", &name));
        let _restored = site.origin(1);
        for name in [&name, "B2C3D4E5"] {
            let path = format!("/after/{name}");
            eventually("the session moves to the substitute", || {
                (served(&burdock, &with_cookie("/", name)) == restarted.served_by()).then_some(())
            });
            assert_eq!(words_of(&burdock, &path, name), ["hit", "learn", "kept"]);
        }
    }
}

#[test]
fn a_session_that_restarts_on_another_server_is_found_there() {
    let site = Site::new();
    let origins = applications::<2>(&site);
    let burdock = site.shop(2, TOMCAT);
    let homes: Vec<_> = (0..2).map(|_| login(&burdock, "A1B2C3D4")).collect();
    assert_ne!(homes[0], homes[1]);
    assert_eq!(served(&burdock, &with_cookie("/", "A1B2C3D4")), homes[1]);
    assert_eq!(origins.iter().map(|origin| origin.received().len()).sum::<usize>(), 3);
}

#[test]
fn a_session_is_not_learned_from_a_5xx_response() {
    let site = Site::new();
    let [origin] = applications::<1>(&site);
    let burdock = site.shop(1, TOMCAT);
    origin.respond_with(|_| crate::harness::Page::new(500).header("Set-Cookie", "JSESSIONID=A1B2C3D4").into());
    assert_eq!(burdock.get("/fails").status, 500);
    assert_eq!(words(&burdock.log_line("/fails")), ["new", "none", "none"]);
    origin.respond_with(application);
    assert_eq!(words_of(&burdock, "/after", "A1B2C3D4"), ["new", "none", "none"]);
}

#[test]
fn a_retried_session_is_learned_at_the_server_that_answered() {
    let site = Site::new();
    let origins = applications::<3>(&site);
    origins[0].respond_with(|_| Reply::Close);
    let burdock = site.shop(3, TOMCAT);
    for n in 0..6 {
        let name = format!("A1B2C3D4-{n}");
        let home = login(&burdock, &name);
        assert_ne!(home, "web-1");
        assert_eq!(served(&burdock, &with_cookie("/", &name)), home);
    }
    let tried = burdock.access_log(12).into_iter().filter(|line| line.text("reason") == "redispatched");
    assert!(tried.clone().count() > 0 && tried.clone().all(|line| line.text("settled") == "learned"), "{tried:?}");
    assert_eq!(burdock.ask(&Request::get("/")).status, 200);
}
