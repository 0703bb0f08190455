//! Which servers an answer creates, and how a change is described.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ids::ServerId;
use crate::upstream::spec::{Address, Admin, ServerSpec, Tier, Weight};

fn server(id: &str) -> Arc<ServerSpec> {
    let (id, address) = (ServerId::parse(id).unwrap(), Address::Inet(([127, 0, 0, 1], 80).into()));
    let (weight, tier, max_conns, admin) = (Weight::ONE, Tier::Primary, None, Admin::Ready);
    Arc::new(ServerSpec { id, route: None, address, host: None, weight, tier, max_conns, admin })
}

fn entry(stem: &str, lookup: Lookup, place: usize) -> DiscoverySpec {
    let template = Template { route: None, weight: None, tier: Tier::Primary, max_conns: None, admin: Admin::Ready };
    DiscoverySpec { stem: ServerId::parse(stem).unwrap(), lookup, template, place }
}

fn host(name: &str) -> Lookup {
    Lookup::Host(DnsName::parse(name).unwrap(), NonZeroU16::new(8080).unwrap())
}

fn srv(name: &str) -> Lookup {
    Lookup::Srv(DnsName::parse(name).unwrap())
}

fn ips(texts: &[&str]) -> Answer {
    let ips = texts.iter().map(|text| text.parse().unwrap());
    Answer::of_hosts(NonZeroU16::new(8080).unwrap(), ips).unwrap()
}

fn services(records: &[(&str, u16, u16)]) -> Answer {
    let service =
        |&(address, priority, weight): &(&str, u16, u16)| Service { address: address.parse().unwrap(), priority, weight };
    Answer::of_services(records.iter().map(service)).unwrap()
}

fn discovered(entries: &[(Lookup, Answer)]) -> Discovered {
    let mut discovered = Discovered::default();
    for (lookup, answer) in entries {
        discovered.learn(lookup, answer.clone());
    }
    discovered
}

fn ids(servers: &[Arc<ServerSpec>]) -> Vec<&str> {
    servers.iter().map(|server| server.id.as_str()).collect()
}

#[test]
fn a_stored_answer_needs_a_usable_address() {
    let kept = |address: &str| format!("{{{address:?}:{{\"priority\":0,\"weight\":0}}}}");
    let answer = ips(&["10.0.0.1"]);
    assert_eq!(serde_json::to_string(&answer).unwrap(), kept("10.0.0.1:8080"));
    assert_eq!(serde_json::from_str::<Answer>(&kept("10.0.0.1:8080")).unwrap(), answer);
    assert_eq!(serde_json::from_str::<Answer>(&kept("[::ffff:10.0.0.1]:8080")).unwrap(), answer);
    for none in ["{}", &kept("0.0.0.0:8080"), &kept("10.0.0.1:0"), &kept("[ff02::1]:8080")] {
        assert!(serde_json::from_str::<Answer>(none).is_err(), "{none}");
    }
}

#[test]
fn an_id_is_the_name_and_the_address() {
    let entries = [entry("app:8080", host("app"), 0), entry("_http._tcp.app", srv("_http._tcp.app"), 0)];
    let discovered = discovered(&[
        (host("app"), ips(&["10.0.0.7", "fd00::7", "::ffff:10.0.0.8"])),
        (srv("_http._tcp.app"), services(&[("10.0.0.7:81", 1, 1), ("[fd00::7]:82", 1, 1)])),
    ]);
    let servers = expand(&[], &entries, &discovered);
    assert_eq!(
        ids(&servers),
        [
            "app:8080@10.0.0.7",
            "app:8080@10.0.0.8",
            "app:8080@[fd00::7]",
            "_http._tcp.app@10.0.0.7:81",
            "_http._tcp.app@[fd00::7]:82"
        ]
    );
    let hosts: Vec<_> = servers.iter().filter_map(|server| server.host.as_deref()).collect();
    assert_eq!(hosts, ["app:8080", "app:8080", "app:8080", "app:81", "app:82"]);
}

#[test]
fn the_longest_stem_leaves_room_for_any_address() {
    let address: SocketAddr = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse().unwrap();
    for lookup in [host("app"), srv("app")] {
        let stem = ServerId::parse(&"a".repeat(lookup.max_stem_length())).unwrap();
        assert_eq!(lookup.id(&stem, address).unwrap().as_str().len(), 128);
    }
}

#[test]
fn found_servers_take_the_place_of_their_entry() {
    let fixed = [server("a"), server("b")];
    let entries = [entry("x", host("x"), 0), entry("y", host("y"), 1), entry("z", host("z"), 2)];
    let discovered = discovered(&[(host("z"), ips(&["10.0.0.1"])), (host("y"), ips(&["10.0.0.3", "10.0.0.2"]))]);
    assert_eq!(ids(&expand(&fixed, &entries, &discovered)), ["a", "y@10.0.0.2", "y@10.0.0.3", "b", "z@10.0.0.1"]);
}

#[test]
fn a_configured_server_wins_over_a_found_one() {
    let fixed = [server("app@10.0.0.1")];
    let discovered = discovered(&[(host("app"), ips(&["10.0.0.1", "10.0.0.2"]))]);
    let servers = expand(&fixed, &[entry("app", host("app"), 0)], &discovered);
    assert_eq!(ids(&servers), ["app@10.0.0.2", "app@10.0.0.1"]);
    assert_eq!(servers[1], fixed[0]);
}

#[test]
fn only_the_lowest_priority_is_primary() {
    let discovered =
        discovered(&[(srv("app"), services(&[("10.0.0.1:1", 20, 5), ("10.0.0.2:1", 10, 60), ("10.0.0.3:1", 10, 10)]))]);
    let of = |entry: DiscoverySpec| {
        let servers = expand(&[], &[entry], &discovered);
        servers.iter().map(|server| (server.address.to_string(), server.tier, server.weight.get())).collect::<Vec<_>>()
    };
    let plain = entry("app", srv("app"), 0);
    let expected = |tier, weights: [u32; 3]| {
        let addresses = ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:1"].map(str::to_owned);
        let tiers = [tier, tier, Tier::Backup];
        addresses.into_iter().zip(tiers).zip(weights).map(|((a, t), w)| (a, t, w)).collect::<Vec<_>>()
    };
    assert_eq!(of(plain.clone()), expected(Tier::Primary, [6, 1, 1]));
    let template = Template { weight: Some(Weight::new(7).unwrap()), ..plain.template.clone() };
    assert_eq!(of(DiscoverySpec { template, ..plain.clone() }), expected(Tier::Primary, [7, 7, 7]));
    let template = Template { tier: Tier::Backup, ..plain.template.clone() };
    let backups = of(DiscoverySpec { template, ..plain });
    assert!(backups.iter().all(|(_, tier, _)| *tier == Tier::Backup), "{backups:?}");
}

#[test]
fn unusable_addresses_are_no_answer() {
    let port = NonZeroU16::new(80).unwrap();
    assert_eq!(Answer::of_hosts(port, []), None);
    assert_eq!(Answer::of_hosts(port, ["0.0.0.0", "::", "224.0.0.1"].map(|ip| ip.parse().unwrap())), None);
    let no_port = Service { address: "10.0.0.1:0".parse().unwrap(), priority: 0, weight: 0 };
    assert_eq!(Answer::of_services([no_port]), None);
}

#[test]
fn a_change_lists_added_and_removed_addresses() {
    let mut discovered = Discovered::default();
    let learn = |discovered: &mut Discovered, answer| discovered.learn(&srv("app"), answer).map(|change| change.to_string());
    let first = services(&[("10.0.0.1:1", 1, 1), ("10.0.0.2:1", 1, 1)]);
    assert_eq!(learn(&mut discovered, first.clone()).unwrap(), "+10.0.0.1:1 +10.0.0.2:1");
    assert_eq!(learn(&mut discovered, first), None);
    let second = services(&[("10.0.0.2:1", 1, 1), ("10.0.0.3:1", 1, 1)]);
    assert_eq!(learn(&mut discovered, second).unwrap(), "+10.0.0.3:1 -10.0.0.1:1");
    let third = services(&[("10.0.0.2:1", 1, 9), ("10.0.0.3:1", 1, 1)]);
    assert_eq!(learn(&mut discovered, third).unwrap(), "weights or priorities changed");
    discovered.retain(|lookup| *lookup != srv("app"));
    assert_eq!(discovered, Discovered::default());
}

fn any_service() -> impl Strategy<Value = Service> {
    let ip = prop_oneof![
        (0_u8..9).prop_map(|n| IpAddr::from([10, 0, 0, n])),
        (0_u16..5).prop_map(|n| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n]))
    ];
    (ip, 0_u16..4, 0_u16..3, prop_oneof![0_u16..300, any::<u16>()]).prop_map(|(ip, port, priority, weight)| Service {
        address: (ip, port).into(),
        priority,
        weight,
    })
}

proptest! {
    #[test]
    fn the_order_of_records_does_not_matter(
        (one, other) in prop::collection::vec(any_service(), 0..12).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let of = |services: Vec<Service>| {
            let answer = Answer::of_services(services)?;
            Some(expand(&[], &[entry("app", srv("app"), 0)], &discovered(&[(srv("app"), answer)])))
        };
        prop_assert_eq!(of(one), of(other));
    }

    #[test]
    fn each_address_is_one_server_with_a_stable_id(
        one in prop::collection::vec(any_service(), 0..12), other in prop::collection::vec(any_service(), 0..12)
    ) {
        let of = |services: &[Service]| {
            let answer = Answer::of_services(services.iter().copied());
            let known = answer.map(|answer| discovered(&[(srv("app"), answer)])).unwrap_or_default();
            expand(&[], &[entry("app", srv("app"), 0)], &known)
        };
        let (one, other) = (of(&one), of(&other));
        let addresses: BTreeSet<String> = one.iter().map(|server| server.address.to_string()).collect();
        prop_assert_eq!(addresses.len(), one.len());
        for server in &one {
            let again = other.iter().find(|again| again.address == server.address);
            prop_assert!(again.is_none_or(|again| again.id == server.id));
        }
        prop_assert!(one.is_empty() || one.iter().any(|server| server.tier == Tier::Primary));
    }

    #[test]
    fn scaled_weights_keep_their_order_and_bounds(weights in prop::collection::vec(any::<u16>(), 1..20)) {
        let service = |(n, &weight): (usize, &u16)| Service { address: ([10, 0, 0, n as u8 + 1], 80).into(), priority: 0, weight };
        let answer = Answer::of_services(weights.iter().enumerate().map(service)).unwrap();
        let scaled: Vec<u32> = answer.tiers_and_weights().into_iter().map(|(_, _, weight)| weight.get()).collect();
        for (a, b) in (0..weights.len()).flat_map(|a| (0..weights.len()).map(move |b| (a, b))) {
            prop_assert!(weights[a] > weights[b] || scaled[a] <= scaled[b], "{weights:?} {scaled:?}");
        }
        prop_assert!(scaled.iter().all(|weight| (1..=256).contains(weight)));
        let alike = weights.iter().all(|weight| *weight == weights[0]);
        prop_assert!(!alike || scaled.iter().all(|weight| *weight == 1));
    }
}
