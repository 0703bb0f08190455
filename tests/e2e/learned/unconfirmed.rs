//! Session ids that only clients have named, and that no server has confirmed.

use std::ops::Range;
use std::thread;

use super::{EVERYWHERE, TOMCAT, applications, served, with_cookie, words};
use crate::harness::{Burdock, Request, Site, rounds, shop};

const CONNECTIONS: usize = 8;
const PIPELINE: usize = 50;

/// One full pipeline on every connection: the number of requests is a multiple of this.
const BATCH: usize = CONNECTIONS * PIPELINE;

/// Sends the requests with these numbers over a few connections; returns the servers that answered, in the order of the requests.
fn flood(burdock: &Burdock, numbers: Range<usize>, request: impl Fn(usize) -> Request + Sync) -> Vec<String> {
    let share = numbers.len() / CONNECTIONS;
    let send_share = |first: usize| {
        let mut wire = burdock.wire();
        let mut servers = Vec::with_capacity(share);
        for start in (first..first + share).step_by(PIPELINE) {
            (start..start + PIPELINE).for_each(|n| wire.send(request(n).bytes()));
            servers.extend((0..PIPELINE).map(|_| wire.response().served_by().to_owned()));
        }
        servers
    };
    thread::scope(|scope| {
        let first = |nth| numbers.start + nth * share;
        let threads: Vec<_> = (0..CONNECTIONS).map(|nth| scope.spawn(move || send_share(first(nth)))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Starts sessions `live-session-0` and so on, each for a different client; returns their servers.
fn start_sessions(burdock: &Burdock, count: usize) -> Vec<String> {
    let login = |n| {
        let request = Request::get(&format!("/login?JSESSIONID=live-session-{n}"));
        served(burdock, &request.header("X-Forwarded-For", &format!("198.51.{n}.1")))
    };
    (0..count).map(login).collect()
}

/// How many of these sessions are still on their server.
fn count_at_home(burdock: &Burdock, homes: &[String]) -> usize {
    let is_at_home =
        |(n, home): &(usize, &String)| served(burdock, &with_cookie("/", &format!("live-session-{n}"))) == **home;
    homes.iter().enumerate().filter(is_at_home).count()
}

fn small_table(sticky: &str) -> String {
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    format!("{listeners}\ntables: {{shop: {{capacity: 1000}}}}\n{}", shop(4, sticky))
}

#[test]
fn forged_session_ids_create_no_sessions() {
    let site = Site::new();
    let _origins = applications::<4>(&site);
    let burdock = site.burdock(&small_table(EVERYWHERE));
    let homes = start_sessions(&burdock, 100);
    let forged = |n: usize| match n % 4 {
        0 => with_cookie("/forged", &format!("forged-name-{}", n / 8)),
        1 => Request::get("/forged").header("X-Session-Id", &format!("forged-name-{}", n / 8)),
        2 => Request::get(&format!("/forged?sid=forged-name-{}", n / 8)),
        _ => Request::get(&format!("/forged;jsessionid=forged-name-{}", n / 8)),
    };
    let count = rounds(200_000).next_multiple_of(BATCH);
    flood(&burdock, 0..count, forged);
    assert_eq!(count_at_home(&burdock, &homes), 100);
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "shop")]), 100.0);
    let lines = burdock.access_log(200 + count);
    let forged_lines: Vec<_> = lines.iter().filter(|line| line.text("path") == "/forged").collect();
    assert_eq!(forged_lines.len(), count);
    assert!(forged_lines.iter().all(|line| words(line) == ["new", "none", "none"]), "each id came eight times");
}

/// Half of the people return before the flood, and all return during it: sessions over their network's budget are evicted first,
/// which protects the people's sessions.
#[test]
fn bot_sessions_do_not_evict_returning_clients() {
    let site = Site::new();
    let _origins = applications::<4>(&site);
    let (people, bots) = (rounds(50_000).next_multiple_of(BATCH * 10), rounds(1_000_000).next_multiple_of(BATCH * 10));
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]\naccess_log: {to: 'off'}";
    let tables = format!("tables: {{shop: {{capacity: {}}}}}", 2 * people);
    let burdock = site.burdock(&format!("{listeners}\n{tables}\n{}", shop(4, TOMCAT)));
    let person =
        |path: &str, n: usize| Request::get(path).header("X-Forwarded-For", &format!("10.{}.{}.7", n >> 8, n & 255));
    let homes = flood(&burdock, 0..people, |n| person(&format!("/login?JSESSIONID=person-{n:06}"), n));
    let return_visit = |n: usize| person("/", n).header("Cookie", &format!("JSESSIONID=person-{n:06}"));
    let count_kept = |numbers: Range<usize>| {
        let servers = flood(&burdock, numbers.clone(), return_visit);
        servers.iter().zip(&homes[numbers]).filter(|(server, home)| server == home).count()
    };
    assert_eq!(count_kept(0..people / 2), people / 2);
    // The bots come from 16 networks.
    let bot = |n: usize| {
        let network = format!("203.0.{}.{}", n % 16, n / 16 % 250);
        Request::get(&format!("/login?JSESSIONID=bot-{n:08}")).header("X-Forwarded-For", &network)
    };
    let mut returned = 0;
    for tenth in 0..10 {
        flood(&burdock, bots / 10 * tenth..bots / 10 * (tenth + 1), bot);
        returned += count_kept(people / 10 * tenth..people / 10 * (tenth + 1));
    }
    let evicted = |class| burdock.metrics().sum("burdock_table_evictions_total", &[("table", "shop"), ("class", class)]);
    assert!(returned * 100 >= people * 99, "{returned} of {people}");
    assert!(evicted("over_budget") > bots as f64 / 4.0, "{} of {bots}", evicted("over_budget"));
}

#[test]
fn create_from_requests_learns_sessions_from_requests() {
    let site = Site::new();
    let _origins = applications::<3>(&site);
    let sticky = "sticky: [{learn: {create_from_requests: query:user, lookup: [query:user, header:X-User], min_length: 3}}]";
    let burdock = site.shop(3, sticky);
    for user in ["ann", "bob", "cyd", "dee"] {
        let home = served(&burdock, &Request::get(&format!("/first/{user}?user={user}")));
        for _ in 0..3 {
            assert_eq!(served(&burdock, &Request::get(&format!("/next/{user}")).header("X-User", user)), home);
        }
        assert_eq!(words(&burdock.log_line(&format!("/first/{user}"))), ["new", "none", "learned"]);
        assert_eq!(words(&burdock.log_line(&format!("/next/{user}"))), ["hit", "learn", "kept"]);
    }
    burdock.ask(&Request::get("/short?user=al"));
    assert_eq!(words(&burdock.log_line("/short")), ["new", "none", "none"]);
}

#[test]
fn requests_without_a_valid_session_id_are_balanced() {
    let site = Site::new();
    let origins = applications::<3>(&site);
    let burdock = site.shop(3, TOMCAT);
    for name in ["", "short", "deleted", "DELETED", "\"\""] {
        (0..3).for_each(|_| drop(burdock.ask(&with_cookie("/nobody", name))));
    }
    assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [5, 5, 5]);
}
