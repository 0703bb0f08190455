//! Names that only clients say.

use std::thread;

use super::{EVERYWHERE, TOMCAT, applications, served, with_cookie, words};
use crate::harness::{Burdock, Request, Site, rounds, shop};

const SIDE_BY_SIDE: usize = 8;
const IN_A_PIPE: usize = 50;

/// Sends so many requests, each made for its number, on a few connections.
fn flood(burdock: &Burdock, count: usize, request: impl Fn(usize) -> Request + Sync) {
    let piece = |first: usize| {
        let mut wire = burdock.wire();
        for start in (first..first + count / SIDE_BY_SIDE).step_by(IN_A_PIPE) {
            (start..start + IN_A_PIPE).for_each(|n| wire.send(request(n).bytes()));
            (0..IN_A_PIPE).for_each(|_| assert_eq!(wire.response().status, 200));
        }
    };
    thread::scope(|scope| {
        let pieces: Vec<_> = (0..SIDE_BY_SIDE).map(|nth| scope.spawn(move || piece(nth * (count / SIDE_BY_SIDE)))).collect();
        pieces.into_iter().for_each(|piece| piece.join().unwrap());
    });
}

/// Begins sessions `live-0` and so on, each of a client of its own; their servers.
fn begin(burdock: &Burdock, count: usize) -> Vec<String> {
    let login = |n| {
        let request = Request::get(&format!("/login?JSESSIONID=live-session-{n}"));
        served(burdock, &request.header("X-Forwarded-For", &format!("198.51.{n}.1")))
    };
    (0..count).map(login).collect()
}

fn return_to(burdock: &Burdock, homes: &[String]) -> usize {
    let is_at_home =
        |(n, home): &(usize, &String)| served(burdock, &with_cookie("/", &format!("live-session-{n}"))) == **home;
    homes.iter().enumerate().filter(is_at_home).count()
}

fn small_table(sticky: &str) -> String {
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    format!("{listeners}\ntables: {{shop: {{capacity: 1000}}}}\n{}", shop(4, sticky))
}

#[test]
fn forged_names_create_nothing() {
    let site = Site::take();
    let _origins = applications::<4>(&site);
    let burdock = site.burdock(&small_table(EVERYWHERE));
    let homes = begin(&burdock, 100);
    let forged = |n: usize| match n % 4 {
        0 => with_cookie("/forged", &format!("forged-name-{}", n / 8)),
        1 => Request::get("/forged").header("X-Session-Id", &format!("forged-name-{}", n / 8)),
        2 => Request::get(&format!("/forged?sid=forged-name-{}", n / 8)),
        _ => Request::get(&format!("/forged;jsessionid=forged-name-{}", n / 8)),
    };
    let count = rounds(200_000).next_multiple_of(SIDE_BY_SIDE * IN_A_PIPE);
    flood(&burdock, count, forged);
    assert_eq!(return_to(&burdock, &homes), 100);
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "shop")]), 100.0);
    let lines = burdock.log(200 + count);
    let of_forged: Vec<_> = lines.iter().filter(|line| line.text("path") == "/forged").collect();
    assert_eq!(of_forged.len(), count);
    assert!(of_forged.iter().all(|line| words(line) == ["new", "none", "none"]), "each name came eight times");
}

#[test]
fn sessions_that_bots_really_begin_do_not_push_out_those_that_return() {
    let site = Site::take();
    let _origins = applications::<4>(&site);
    let burdock = site.burdock(&small_table(TOMCAT));
    let homes = begin(&burdock, 200);
    assert_eq!(return_to(&burdock, &homes), 200);
    let bot = |n: usize| {
        let network = format!("203.0.113.{}", n % 250);
        Request::get(&format!("/login?JSESSIONID=bot-session-{n}")).header("X-Forwarded-For", &network)
    };
    // The least table has room for 37,632 sessions.
    flood(&burdock, (45_000 + rounds(150_000)).next_multiple_of(SIDE_BY_SIDE * IN_A_PIPE), bot);
    let evicted = |class| burdock.metrics().sum("burdock_table_evictions_total", &[("table", "shop"), ("class", class)]);
    assert!(evicted("over_budget") + evicted("new") > 10_000.0);
    let kept = return_to(&burdock, &homes);
    assert!(kept >= 198, "{kept} of 200");
}

#[test]
fn a_request_creates_a_session_where_that_is_asked_for() {
    let site = Site::take();
    let _origins = applications::<3>(&site);
    let asked = "sticky: [{learn: {create_from_requests: query:user, lookup: [query:user, header:X-User], min_length: 3}}]";
    let burdock = site.shop(3, asked);
    for user in ["ann", "bob", "cyd", "dee"] {
        let home = served(&burdock, &Request::get(&format!("/first/{user}?user={user}")));
        for _ in 0..3 {
            assert_eq!(served(&burdock, &Request::get(&format!("/next/{user}")).header("X-User", user)), home);
        }
        assert_eq!(words(&burdock.line(&format!("/first/{user}"))), ["new", "none", "learned"]);
        assert_eq!(words(&burdock.line(&format!("/next/{user}"))), ["hit", "learn", "kept"]);
    }
    burdock.ask(&Request::get("/short?user=al"));
    assert_eq!(words(&burdock.line("/short")), ["new", "none", "none"]);
}

#[test]
fn what_names_nobody_is_balanced() {
    let site = Site::take();
    let origins = applications::<3>(&site);
    let burdock = site.shop(3, TOMCAT);
    for name in ["", "short", "deleted", "DELETED", "\"\""] {
        (0..3).for_each(|_| drop(burdock.ask(&with_cookie("/nobody", name))));
    }
    assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [5, 5, 5]);
}
