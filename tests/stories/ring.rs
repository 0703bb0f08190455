//! The hash ring: which server a name belongs to, for any set of servers and weights.

use std::collections::BTreeMap;
use std::sync::Arc;

use burdock::ids::ServerId;
use burdock::upstream::spec::{ServerSpec, Weight};
use proptest::prelude::*;

use crate::language::{Lb, lb};

type Weights = BTreeMap<String, u16>;

fn balancer(weights: &Weights) -> Lb {
    lb(["any"]).with(|spec| {
        let any = spec.upstream.servers.remove(0);
        let server = |(id, weight): (&String, &u16)| {
            let (id, weight) = (ServerId::parse(id).unwrap(), Weight::new(*weight).unwrap());
            Arc::new(ServerSpec { id, weight, ..(*any).clone() })
        };
        spec.upstream.servers = weights.iter().map(server).collect();
    })
}

/// The servers of the first `names` names.
fn homes(weights: &Weights, names: usize) -> Vec<String> {
    let lb = balancer(weights);
    (0..names).map(|n| lb.home(&format!("name-{n}"))).collect()
}

/// Weights that often have a common divisor, and often lose it when one of them is removed.
fn weights(servers: std::ops::Range<usize>) -> impl Strategy<Value = Weights> {
    prop::collection::btree_map("[a-z0-9.:-]{1,12}", prop::sample::select(vec![1, 2, 2, 3, 4, 6]), servers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn adding_or_removing_a_server_moves_only_its_own_names(
        all in weights(2..6), which: prop::sample::Index
    ) {
        let other = all.keys().nth(which.index(all.len())).unwrap().clone();
        let mut fewer = all.clone();
        fewer.remove(&other);
        for (with, without) in homes(&all, 2_000).iter().zip(&homes(&fewer, 2_000)) {
            prop_assert!(with == without || *with == other, "{} with {2}, {} without it", with, without, other);
        }
    }

    #[test]
    fn each_servers_share_of_names_is_within_30_percent_of_fair(weights in weights(1..7)) {
        let homes = homes(&weights, 30_000);
        let total: u16 = weights.values().sum();
        for (id, weight) in &weights {
            let fair = homes.len() as f64 * f64::from(*weight) / f64::from(total);
            let share = homes.iter().filter(|home| *home == id).count() as f64;
            prop_assert!((share / fair - 1.0).abs() <= 0.3, "{} of weight {} in {:?} has {} names instead of {}", id, weight, weights, share, fair);
        }
    }
}

#[test]
fn only_the_ratio_of_weights_counts() {
    let heavy: Weights = (0..40).map(|n| (format!("s{n}"), 100 + 100 * (n % 2))).collect();
    let reduced: Weights = heavy.iter().map(|(id, weight)| (id.clone(), weight / 100)).collect();
    assert_eq!(homes(&heavy, 500), homes(&reduced, 500));
}
