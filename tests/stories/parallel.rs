//! Requests of one session that come at once go to one server.

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
fn connections_are_spread() {
    let lb = lb(["a", "b", "c"]);
    let first = |_| lb.client().on_one_connection().visits(1).servers().remove(0);
    assert_eq!((0..6).map(first).collect::<Vec<_>>(), ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn when_the_server_of_a_provisional_session_fails_all_its_requests_agree_on_another() {
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
fn sessions_whose_token_has_no_name_for_them_are_told_apart_by_the_clients_address() {
    for mode in ["insert", "passive"] {
        let sticky = format!("[{{cookie: {{name: S, mode: {mode}, token: plain}}}}]");
        let lb = lb(["a", "b", "c", "d"]).sticky(&sticky).down("a");
        for lost in ["a", "gone"] {
            let place = |n: u8| {
                let request = |_| lb.client_at(&format!("192.0.2.{n}")).with_cookie("S", lost).visits(1).servers().remove(0);
                (0..4).map(request).collect::<Vec<_>>()
            };
            let places: Vec<_> = (0..60).map(place).collect();
            assert!(places.iter().all(|servers| servers.iter().all(|server| *server == servers[0])), "{places:?}");
            assert!(["b", "c", "d"].iter().all(|server| places.iter().any(|servers| servers[0] == *server)), "{places:?}");
        }
    }
}

#[test]
fn a_named_session_without_its_server_goes_to_one_other_from_every_balancer() {
    let here = lb(["a", "b", "c", "d"]);
    let there = lb(["d", "c", "b", "a"]);
    for _ in 0..20 {
        let mut client = here.client();
        let tied = client.visits(1).servers().remove(0);
        let (one, other) = (here.clone().down(&tied), there.clone().down(&tied));
        let moved = here.client().holding(&client.token()).visits(1).because(["down"]).servers();
        assert_eq!(there.client().holding(&client.token()).visits(1).because(["down"]).servers(), moved);
        one.up(&tied);
        other.up(&tied);
    }
}
