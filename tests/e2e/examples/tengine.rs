//! Tengine's session_sticky.

use super::{last, run};
use crate::harness::{Burdock, Reply, Request, Response, Site};

/// A request with this cookie to the host of Tengine's own example.
fn ask(burdock: &Burdock, cookie: &str) -> Response {
    burdock.ask(&Request::get("/").header("Host", "www.xxx.com").header("Cookie", cookie))
}

#[test]
fn session_sticky_sets_a_cookie_that_servers_see() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = run(&site, "tengine-session-sticky.yaml");
    let first = burdock.get("/");
    let line = first.set_cookies()[0];
    assert!(line.starts_with("route=") && line.ends_with("; Path=/; HttpOnly"), "{line}");
    let (_, token) = first.cookie("route").unwrap();
    for _ in 0..4 {
        let next = ask(&burdock, &format!("xroute=v; route={token}"));
        assert_eq!((next.served_by(), next.set_cookies().len()), (first.served_by(), 0));
    }
    assert_eq!(last(&origins, first.served_by()).header("cookie"), Some(&*format!("xroute=v; route={token}")), "direct");
}

#[test]
fn session_sticky_sets_no_cookie_on_errors() {
    let site = Site::new();
    let origins = site.origins::<2>();
    for file in ["tengine-session-sticky.yaml", "tengine-insert-indirect.yaml"] {
        let burdock = run(&site, file);
        origins.iter().for_each(|origin| origin.respond_with(|request| Reply::status(request.path()[1..].parse().unwrap())));
        for (status, cookies) in [(200, 1), (302, 1), (404, 0), (500, 0)] {
            assert_eq!(burdock.get(&format!("/{status}")).set_cookies().len(), cookies, "{status}");
        }
    }
}

#[test]
fn insert_indirect_hides_its_cookie_from_servers() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = run(&site, "tengine-insert-indirect.yaml");
    let first = ask(&burdock, "a=1");
    let line = first.set_cookies()[0];
    assert!(line.starts_with("uid=") && line.ends_with("; Path=/; Domain=www.xxx.com; HttpOnly"), "{line}");
    let (_, token) = first.cookie("uid").unwrap();
    for _ in 0..4 {
        let next = ask(&burdock, &format!("uid={token}; a=1"));
        assert_eq!((next.served_by(), next.set_cookies().len()), (first.served_by(), 0));
    }
    assert_eq!(last(&origins, first.served_by()).header("cookie"), Some("a=1"));
}

#[test]
fn cookies_set_by_tengine_are_replaced_and_moved_on_failover() {
    for (file, name) in [("tengine-session-sticky.yaml", "route"), ("tengine-insert-indirect.yaml", "uid")] {
        let site = Site::new();
        let mut origins: Vec<_> = site.origins::<2>().into();
        let burdock = run(&site, file);
        let md5 = |n| format!("{name}={:x}", md5::compute(site.server(n).to_string()));
        for n in [1, 2] {
            let replaced = ask(&burdock, &md5(n));
            assert_eq!((replaced.served_by(), replaced.set_cookies().len()), (&*format!("web-{n}"), 1));
            let own = replaced.cookie(name).unwrap().1;
            let next = ask(&burdock, &format!("{name}={own}"));
            assert_eq!((next.served_by(), next.set_cookies().len()), (replaced.served_by(), 0));
        }
        drop(origins.remove(0));
        let moved = ask(&burdock, &md5(1));
        assert_eq!((moved.served_by(), moved.set_cookies().len()), ("web-2", 1), "fallback=on");
    }
}
