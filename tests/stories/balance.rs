//! Load balancing: where sessions without a tie start.

use std::collections::BTreeMap;

use burdock::session::load_factor::LoadFactor;
use burdock::source::{Place, Prefixes, Source};
use burdock::upstream::balance::Balance;
use proptest::prelude::*;

use crate::language::{Lb, lb};

fn counts(servers: &[String]) -> BTreeMap<&str, usize> {
    servers.iter().fold(BTreeMap::new(), |mut counts, server| {
        *counts.entry(server.as_str()).or_default() += 1;
        counts
    })
}

fn client_ip() -> Source {
    Place::ClientIp(Prefixes::default()).into()
}

#[test]
fn round_robin_interleaves_by_weight() {
    let lb = lb(["a", "b", "c"]).weight("a", 5);
    assert_eq!(lb.new_clients(14), ["a", "a", "a", "b", "a", "a", "c", "a", "a", "a", "b", "a", "a", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_robin_matches_weights_exactly(weights in proptest::array::uniform3(1u16..20)) {
        let lb = lb(["a", "b", "c"]).weight("a", weights[0]).weight("b", weights[1]).weight("c", weights[2]);
        let total: u16 = weights.iter().sum();
        let served = lb.new_clients(usize::from(total) * 2);
        let counts = counts(&served);
        prop_assert_eq!([counts["a"], counts["b"], counts["c"]], weights.map(|weight| usize::from(weight) * 2));
    }

    #[test]
    fn random_two_and_hash_favour_heavier_servers(heavy in 4u16..12) {
        for balance in [Balance::RandomTwo, Balance::Hash(None)] {
            let lb = lb(["a", "b", "c"]).weight("a", heavy).balance(balance).with(|shop| shop.hash_key = vec![client_ip()]);
            let served: Vec<String> = (0..300).map(|n| lb.client_at(&format!("198.51.{}.{}", n % 7, n % 251)).visits(1).servers().remove(0)).collect();
            let counts = counts(&served);
            prop_assert!(counts["a"] > 110, "{:?}", counts);
        }
    }
}

#[test]
fn least_conn_picks_the_least_loaded_for_its_weight() {
    let lb = lb(["a", "b"]).balance(Balance::LeastConn).weight("a", 2);
    let held: Vec<_> = (0..6).map(|_| lb.client().starts_request()).collect();
    let servers: Vec<String> = held.iter().map(|(server, _)| server.clone()).collect();
    assert_eq!(counts(&servers), BTreeMap::from([("a", 4), ("b", 2)]));
}

#[test]
fn idle_servers_take_turns_under_least_conn() {
    let lb = lb(["a", "b", "c"]).balance(Balance::LeastConn);
    assert_eq!(counts(&lb.new_clients(9)), BTreeMap::from([("a", 3), ("b", 3), ("c", 3)]));
}

#[test]
fn new_sessions_are_spread_across_changes_of_the_upstream() {
    for balance in [Balance::RoundRobin, Balance::LeastConn] {
        let mut lb = lb(["a", "b", "c", "d"]).balance(balance).with_server("e").maint("e");
        let mut served = Vec::new();
        for nth in 0..12 {
            served.extend(lb.new_clients(1));
            lb = if nth % 2 == 0 { lb.without("e") } else { lb.with_server("e").maint("e") };
        }
        assert_eq!(counts(&served), BTreeMap::from([("a", 3), ("b", 3), ("c", 3), ("d", 3)]), "{balance:?}");
    }
}

#[test]
fn a_changed_weight_applies_to_the_next_sessions() {
    let lb = lb(["a", "b"]).weight("a", 256);
    lb.new_clients(128);
    let lb = lb.weight("a", 1);
    assert_eq!(counts(&lb.new_clients(8)), BTreeMap::from([("a", 4), ("b", 4)]));
}

#[test]
fn random_two_avoids_the_busier_server() {
    let lb = lb(["a", "b"]).balance(Balance::RandomTwo);
    let (busy, _slot) = lb.client().starts_request();
    assert!(lb.new_clients(20).iter().all(|server| *server != busy));
}

#[test]
fn first_fills_servers_in_order() {
    let lb = lb(["a", "b"]).balance(Balance::First).max_conns("a", 2);
    let held: Vec<_> = (0..4).map(|_| lb.client().starts_request()).collect();
    let servers: Vec<&str> = held.iter().map(|(server, _)| server.as_str()).collect();
    assert_eq!(servers, ["a", "a", "b", "b"]);
}

fn by_address(lb: Lb) -> Lb {
    lb.balance(Balance::Hash(None)).with(|shop| {
        shop.hash_key = vec![client_ip()];
        shop.sticky.entries.clear();
    })
}

#[test]
fn hash_sends_one_address_to_one_server_without_a_token() {
    let lb = by_address(lb(["a", "b", "c"]));
    for n in 0..30 {
        let mut client = lb.client_at(&format!("203.0.113.{n}"));
        let servers = client.visits(3).settled(["none", "none", "none"]).servers();
        assert!(servers.iter().all(|server| server == &servers[0]));
    }
}

#[test]
fn only_a_down_servers_keys_move_and_they_return() {
    let lb = by_address(lb(["a", "b", "c"]));
    let servers =
        |lb: &Lb| (0..90).map(|n| lb.client_at(&format!("203.0.113.{n}")).visits(1).servers().remove(0)).collect::<Vec<_>>();
    let before = servers(&lb);
    let lb = lb.down("b");
    let during = servers(&lb);
    assert!(before.iter().zip(&during).all(|(was, is)| if was == "b" { is != "b" } else { is == was }));
    assert_eq!(servers(&lb.up("b")), before);
}

#[test]
fn load_factor_bounds_one_keys_load_on_a_server() {
    let lb = by_address(lb(["a", "b", "c"])).balance(Balance::Hash(Some(LoadFactor::new(1.25).unwrap())));
    let held: Vec<_> = (0..12).map(|_| lb.client_at("203.0.113.7").starts_request()).collect();
    let servers: Vec<String> = held.iter().map(|(server, _)| server.clone()).collect();
    assert!(counts(&servers).values().all(|&count| count <= 5), "{servers:?}");
}

#[test]
fn the_first_hash_key_in_the_request_wins() {
    let with_keys =
        |first: Place| by_address(lb(["a", "b", "c"])).with(|shop| shop.hash_key = vec![first.into(), client_ip()]);
    let served = |lb: Lb| -> Vec<String> {
        (0..12).map(|n| lb.client_at(&format!("203.0.113.{n}")).visits(1).servers().remove(0)).collect()
    };
    assert_eq!(served(with_keys(Place::Query("user".into()))), served(by_address(lb(["a", "b", "c"]))));
    assert_eq!(counts(&served(with_keys(Place::Path))).len(), 1, "every client requests the same path");
}

#[test]
fn requests_without_the_hash_key_are_spread() {
    let lb = by_address(lb(["a", "b", "c"])).with(|shop| shop.hash_key = vec![Place::Query("user".into()).into()]);
    assert_eq!(lb.new_clients(3), ["a", "b", "c"]);
}
