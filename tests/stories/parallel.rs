//! Parallel requests of one session go to one server.

use crate::language::lb;

#[test]
fn nameless_requests_of_one_connection_are_one_session() {
    let lb = lb(["a", "b", "c"]);
    for _ in 0..9 {
        let mut client = lb.client().on_one_connection();
        let servers: Vec<String> = (0..8)
            .map(|_| {
                client.cookies.clear();
                client.visits(1).because(["new"]).settled(["inserted"]).servers().remove(0)
            })
            .collect();
        assert!(servers.iter().all(|server| server == &servers[0]), "{servers:?}");
    }
}

#[test]
fn new_connections_are_spread_round_robin() {
    let lb = lb(["a", "b", "c"]);
    let first = |_| lb.client().on_one_connection().visits(1).servers().remove(0);
    assert_eq!((0..6).map(first).collect::<Vec<_>>(), ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn a_provisional_session_agrees_on_one_substitute() {
    let lb = lb(["a", "b", "c"]);
    let mut client = lb.client().on_one_connection();
    client.visits(1).was_served_by(["a"]);
    let _lb = lb.refuses("a");
    let servers: Vec<String> = (0..8)
        .map(|_| {
            client.cookies.clear();
            client.visits(1).servers().remove(0)
        })
        .collect();
    assert!(servers.iter().all(|server| server == &servers[0] && server != "a"), "{servers:?}");
}

#[test]
fn lost_sessions_with_plain_tokens_spread_by_client_address() {
    for mode in ["insert", "passive"] {
        let sticky = format!("[{{cookie: {{name: S, mode: {mode}, token: plain}}}}]");
        let lb = lb(["a", "b", "c", "d"]).sticky(&sticky).down("a");
        for lost in ["a", "gone"] {
            let serve = |n: u8| {
                let request = |_| lb.client_at(&format!("192.0.2.{n}")).with_cookie("S", lost).visits(1).servers().remove(0);
                (0..4).map(request).collect::<Vec<_>>()
            };
            let served: Vec<_> = (0..60).map(serve).collect();
            assert!(served.iter().all(|servers| servers.iter().all(|server| *server == servers[0])), "{served:?}");
            assert!(["b", "c", "d"].iter().all(|server| served.iter().any(|servers| servers[0] == *server)), "{served:?}");
        }
    }
}

#[test]
fn every_balancer_picks_the_same_substitute_for_a_session() {
    let here = lb(["a", "b", "c", "d"]);
    let there = lb(["d", "c", "b", "a"]);
    for _ in 0..20 {
        let mut client = here.client();
        let tied = client.visits(1).servers().remove(0);
        let (here_down, there_down) = (here.clone().down(&tied), there.clone().down(&tied));
        let moved = here.client().holding(&client.token()).visits(1).because(["down"]).servers();
        assert_eq!(there.client().holding(&client.token()).visits(1).because(["down"]).servers(), moved);
        here_down.up(&tied);
        there_down.up(&tied);
    }
}

#[test]
fn requests_that_a_proxy_relays_on_one_connection_are_sessions_of_their_own() {
    for (header, value) in [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9"), ("via", "1.1 front")] {
        let lb = lb(["a", "b", "c"]);
        let mut proxy = lb.client().on_one_connection().without_cookies().with_header(header, value);
        proxy.visits(6).was_served_by(["a", "b", "c", "a", "b", "c"]);
    }
}
