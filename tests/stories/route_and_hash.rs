//! Ties found in what requests carry anyway: server routes and hashed names.

use std::collections::BTreeMap;

use crate::language::lb;

const TOMCAT: &str =
    "[{route: {from: [{cookie: JSESSIONID, after: '.'}, {path_parameter: jsessionid, after: '.'}, 'query:route']}}]";

#[test]
fn a_route_after_a_session_id_selects_its_server() {
    let lb = lb(["a", "b"]).route("a", "jvm1").route("b", "jvm2").sticky(TOMCAT);
    let visit = lb.client().with_cookie("JSESSIONID", "A1B2.jvm2").visits(1).was_served_by(["b"]).because(["hit"]).only();
    assert_eq!((visit.method, visit.settled), ("route", "kept"));
    let lb = lb.with_target("/cart;jsessionid=A1B2.jvm2");
    lb.client().visits(2).was_served_by(["b", "b"]);
    let lb = lb.with_target("/cart?route=jvm2");
    lb.client().visits(2).was_served_by(["b", "b"]);
}

#[test]
fn the_first_source_with_a_value_wins() {
    let lb = lb(["a", "b"]).sticky(TOMCAT).with_target("/?route=b");
    lb.client().with_cookie("JSESSIONID", "x.a").visits(1).was_served_by(["a"]);
    lb.client().with_cookie("JSESSIONID", "without").visits(1).was_served_by(["b"]);
}

#[test]
fn a_route_of_no_server_is_unknown_and_writes_nothing() {
    let lb = lb(["a", "b"]).sticky(TOMCAT);
    let visit =
        lb.client().with_cookie("JSESSIONID", "x.gone").visits(1).because(["unknown_server"]).settled(["none"]).only();
    assert_eq!(visit.received.len(), 0);
}

#[test]
fn sessions_of_a_down_route_spread_and_each_keeps_one_server() {
    let lb = lb(["a", "b", "c", "d"]).sticky(TOMCAT).down("a");
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..300 {
        let mut client = lb.client().with_cookie("JSESSIONID", &format!("session{n}.a"));
        let servers = client.visits(3).because(["down"; 3]).servers();
        assert!(servers.iter().all(|server| *server == servers[0]), "{servers:?}");
        *shares.entry(servers[0].clone()).or_default() += 1;
    }
    assert_eq!(shares.len(), 3, "{shares:?}");
    assert!(shares.values().all(|&share| share > 50), "{shares:?}");
}

#[test]
fn sessions_of_a_bare_route_spread_by_client_address() {
    let lb = lb(["a", "b", "c", "d"]).sticky(TOMCAT).with_target("/?route=a").down("a");
    let serve = |n: u8| lb.client_at(&format!("192.0.2.{n}")).visits(2).servers();
    let served: Vec<_> = (0..60).map(serve).collect();
    assert!(served.iter().all(|pair| pair[0] == pair[1]));
    assert!((1..4).all(|nth| served.iter().any(|pair| pair[0] == ["a", "b", "c", "d"][nth])), "{served:?}");
}

#[test]
fn a_hashed_client_stays_without_a_token() {
    let lb = lb(["a", "b", "c"]).sticky("[{hash: {key: client_ip}}]");
    for n in 0..50 {
        let mut client = lb.client_at(&format!("192.0.2.{n}"));
        let visits = client.visits(3).because(["hit"; 3]).settled(["kept"; 3]);
        assert!(visits.servers().iter().all(|server| *server == visits.servers()[0]));
        let visit = visits.last();
        assert_eq!((visit.method, visit.received.len()), ("hash", 0));
    }
}

#[test]
fn client_ip_prefixes_hash_a_network_as_one_client() {
    let lb = lb(["a", "b", "c", "d", "e"]).sticky("[{hash: {key: {client_ip: {ipv4: 24, ipv6: 48}}}}]");
    let at = |address: &str| lb.client_at(address).visits(1).servers().remove(0);
    assert_eq!(at("192.0.2.1"), at("192.0.2.254"));
    assert_eq!(at("2001:db8:7:1::1"), at("2001:db8:7:ffff::9"));
}

#[test]
fn one_identity_reaches_one_server_from_any_source() {
    let key = "[cookie:JSESSIONID, header:X-Session-Id, query:sid, path_parameter:jsessionid, bearer_claim:sid]";
    let lb = lb(["a", "b", "c", "d", "e"]).sticky(&format!("[{{hash: {{key: {key}}}}}, cookie]"));
    for n in 0..20 {
        let id = format!("session-{n}");
        let web = lb.client().with_cookie("JSESSIONID", &id).visits(1).servers();
        assert_eq!(lb.client().with_header("x-session-id", &id).visits(1).servers(), web);
        let lb = lb.clone().with_target(&format!("/?sid={id}"));
        assert_eq!(lb.client().visits(1).servers(), web);
        let lb = lb.with_target(&format!("/cart;jsessionid={id}/x"));
        assert_eq!(lb.client().visits(1).servers(), web);
        let lb = lb.with_target("/");
        assert_eq!(lb.client().with_header("authorization", &bearer(&id)).visits(1).servers(), web);
    }
}

/// An unsigned bearer token for this session.
fn bearer(id: &str) -> String {
    let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
    format!("Bearer {}.{}.", encode(r#"{"alg":"none"}"#), encode(&format!(r#"{{"sub":"ann","sid":"{id}","exp":1}}"#)))
}

#[test]
fn a_client_without_a_hash_key_uses_the_next_entry() {
    let lb = lb(["a", "b"]).sticky("[{hash: {key: 'header:X-User'}}, cookie]");
    assert_eq!(lb.new_clients(4), ["a", "b", "a", "b"]);
    let mut client = lb.client();
    client.visits(2).because(["new", "hit"]).settled(["inserted", "kept"]);
    assert_eq!(client.visits(1).only().method, "cookie");
}

#[test]
fn a_hashed_session_of_a_down_server_keeps_one_substitute_and_returns() {
    let lb = lb(["a", "b", "c"]).sticky("[{hash: {key: 'header:X-User'}}]");
    for n in 0..30 {
        let mut client = lb.client().with_header("x-user", &format!("user{n}"));
        let home = client.visits(1).servers().remove(0);
        let lb = lb.clone().down(&home);
        let away = client.visits(3).because(["down"; 3]).settled(["none"; 3]).servers();
        assert!(away.iter().all(|server| *server == away[0] && *server != home), "{away:?}");
        let _ = lb.up(&home);
        assert_eq!(client.visits(1).because(["hit"]).servers(), [home]);
    }
}

#[test]
fn a_full_server_keeps_or_spills_its_hashed_sessions() {
    for (when_full, then) in [("keep", "503"), ("spill", "other")] {
        let lb = lb(["a", "b"]).max_conns("a", 1).max_conns("b", 1);
        let lb = lb.sticky(&format!("[{{hash: {{key: 'header:X-User', when_full: {when_full}}}}}]"));
        let mut client = lb.client().with_header("x-user", "ann");
        let (home, _slot) = client.starts_request();
        let served = client.visits(1).servers().remove(0);
        match then {
            "503" => assert_eq!(served, "503"),
            _ => assert!(served != home && served != "503", "{served}"),
        }
    }
}

#[test]
fn load_factor_spills_a_hashed_session_above_its_servers_share() {
    let lb = lb(["a", "b", "c"]).sticky("[{hash: {key: 'header:X-User', load_factor: 1.5}}]");
    let client = lb.client().with_header("x-user", "ann");
    let held: Vec<_> = (0..9).map(|_| client.starts_request()).collect();
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for (server, _) in &held {
        *shares.entry(server).or_default() += 1;
    }
    assert!(shares.len() > 1 && shares.values().all(|&share| share <= 5), "no server is above 1.5 of its share: {shares:?}");
}

#[test]
fn a_composite_key_needs_all_its_parts() {
    let lb = lb(["a", "b", "c", "d"]).sticky("[{hash: {key: {all: ['header:X-Tenant', 'header:X-User']}}}]");
    lb.client().with_header("x-user", "ann").visits(2).because(["new", "new"]);
    let both = |tenant: &str| lb.client().with_header("x-user", "ann").with_header("x-tenant", tenant).visits(1);
    both("t1").because(["hit"]);
    let servers: std::collections::BTreeSet<_> = (0..40).flat_map(|n| both(&format!("t{n}")).servers()).collect();
    assert_eq!(servers.len(), 4, "ann is a different client for each tenant");
}

#[test]
fn another_proxys_route_in_burdocks_cookie_is_read_and_replaced() {
    let lb = lb(["a", "b"]).sticky("[{route: {from: {cookie: ROUTEID, after: '.'}}}, {cookie: {name: ROUTEID}}]");
    let mut client = lb.client().with_cookie("ROUTEID", ".b");
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!(visit.method, "route");
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]).only();
    assert_eq!(visit.method, "cookie");
}
