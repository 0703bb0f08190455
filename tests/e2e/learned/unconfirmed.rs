//! Names that only clients say.

use std::ops::Range;
use std::thread;

use super::{EVERYWHERE, TOMCAT, applications, served, with_cookie, words};
use crate::harness::{Burdock, Request, Site, rounds, shop};

const SIDE_BY_SIDE: usize = 8;
const IN_A_PIPE: usize = 50;

/// What is sent side by side in whole pipes.
const WHOLE: usize = SIDE_BY_SIDE * IN_A_PIPE;

/// Sends the requests of these numbers on a few connections; the servers that answer, in the requests' order.
fn flood(burdock: &Burdock, numbers: Range<usize>, request: impl Fn(usize) -> Request + Sync) -> Vec<String> {
    let share = numbers.len() / SIDE_BY_SIDE;
    let piece = |first: usize| {
        let mut wire = burdock.wire();
        let mut servers = Vec::with_capacity(share);
        for start in (first..first + share).step_by(IN_A_PIPE) {
            (start..start + IN_A_PIPE).for_each(|n| wire.send(request(n).bytes()));
            servers.extend((0..IN_A_PIPE).map(|_| wire.response().served_by().to_owned()));
        }
        servers
    };
    thread::scope(|scope| {
        let first = |nth| numbers.start + nth * share;
        let pieces: Vec<_> = (0..SIDE_BY_SIDE).map(|nth| scope.spawn(move || piece(first(nth)))).collect();
        pieces.into_iter().flat_map(|piece| piece.join().unwrap()).collect()
    })
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
    let count = rounds(200_000).next_multiple_of(WHOLE);
    flood(&burdock, 0..count, forged);
    assert_eq!(return_to(&burdock, &homes), 100);
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "shop")]), 100.0);
    let lines = burdock.log(200 + count);
    let of_forged: Vec<_> = lines.iter().filter(|line| line.text("path") == "/forged").collect();
    assert_eq!(of_forged.len(), count);
    assert!(of_forged.iter().all(|line| words(line) == ["new", "none", "none"]), "each name came eight times");
}

/// Half the people have come back before the flood, and half come back only after much of it: who is over its network's budget
/// goes first, else those would.
#[test]
fn sessions_that_bots_really_begin_do_not_push_out_those_that_return() {
    let site = Site::take();
    let _origins = applications::<4>(&site);
    let (people, bots) = (rounds(50_000).next_multiple_of(WHOLE * 10), rounds(1_000_000).next_multiple_of(WHOLE * 10));
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]\naccess_log: {to: 'off'}";
    let tables = format!("tables: {{shop: {{capacity: {}}}}}", 2 * people);
    let burdock = site.burdock(&format!("{listeners}\n{tables}\n{}", shop(4, TOMCAT)));
    let person =
        |path: &str, n: usize| Request::get(path).header("X-Forwarded-For", &format!("10.{}.{}.7", n >> 8, n & 255));
    let homes = flood(&burdock, 0..people, |n| person(&format!("/login?JSESSIONID=person-{n:06}"), n));
    let comes_back = |n: usize| person("/", n).header("Cookie", &format!("JSESSIONID=person-{n:06}"));
    let kept = |numbers: Range<usize>| {
        let servers = flood(&burdock, numbers.clone(), comes_back);
        servers.iter().zip(&homes[numbers]).filter(|(server, home)| server == home).count()
    };
    assert_eq!(kept(0..people / 2), people / 2);
    // Of 16 networks.
    let bot = |n: usize| {
        let network = format!("203.0.{}.{}", n % 16, n / 16 % 250);
        Request::get(&format!("/login?JSESSIONID=bot-{n:08}")).header("X-Forwarded-For", &network)
    };
    let mut returned = 0;
    for tenth in 0..10 {
        flood(&burdock, bots / 10 * tenth..bots / 10 * (tenth + 1), bot);
        returned += kept(people / 10 * tenth..people / 10 * (tenth + 1));
    }
    let evicted = |class| burdock.metrics().sum("burdock_table_evictions_total", &[("table", "shop"), ("class", class)]);
    assert!(returned * 100 >= people * 99, "{returned} of {people}");
    assert!(evicted("over_budget") > bots as f64 / 4.0, "{} of {bots}", evicted("over_budget"));
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
