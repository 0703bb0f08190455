//! Slow start: a server that recovers or is added gets its share of new sessions gradually.

use burdock::upstream::balance::Balance;

use crate::language::{Lb, lb};

const SLOW: &str = "slow_start: 100s";

/// How many of `of` new clients this server gets.
fn share(lb: &Lb, id: &str, of: usize) -> usize {
    lb.new_clients(of).iter().filter(|server| *server == id).count()
}

#[test]
fn a_recovered_server_ramps_up_linearly() {
    let lb = lb(["a", "b"]).settings(SLOW).down("b").up("b");
    let mut at = vec![share(&lb, "b", 1_100)];
    for _ in 0..5 {
        lb.clone().after(20);
        at.push(share(&lb, "b", 1_200));
    }
    // Weights 0.1, 0.2, 0.4, 0.6, 0.8 and 1, each against the full weight of `a`.
    let expected = [100.0, 1_200.0 / 6.0, 1_200.0 * 0.4 / 1.4, 1_200.0 * 0.6 / 1.6, 1_200.0 * 0.8 / 1.8, 600.0];
    for (got, expected) in at.iter().zip(expected) {
        assert!((*got as f64 - expected).abs() <= 2.0, "{at:?}");
    }
}

#[test]
fn an_added_server_ramps_up_and_initial_servers_do_not() {
    let lb = lb(["a", "b"]).settings(SLOW);
    assert_eq!(share(&lb, "b", 10), 5);
    let lb = lb.without("b").with_server("b");
    assert_eq!(share(&lb, "b", 110), 10);
}

#[test]
fn a_server_leaving_maintenance_ramps_up() {
    let lb = lb(["a", "b"]).settings(SLOW).maint("b").ready("b");
    assert_eq!(share(&lb, "b", 110), 10);
    let lb = lb.after(100);
    assert_eq!(share(&lb, "b", 110), 55);
}

#[test]
fn a_ramp_up_continues_through_a_reload() {
    let lb = lb(["a", "b"]).settings(SLOW).down("b").up("b").after(50).weight("a", 2).weight("b", 2);
    let got = share(&lb, "b", 300);
    assert!((99..=101).contains(&got), "{got}");
}

#[test]
fn without_slow_start_a_server_has_full_weight_at_once() {
    let lb = lb(["a", "b"]).down("b").up("b");
    assert_eq!(share(&lb, "b", 100), 50);
}

#[test]
fn idle_servers_get_sessions_by_their_ramped_weight() {
    for balance in [Balance::LeastConn, Balance::RandomTwo] {
        let lb = lb(["a", "b"]).balance(balance).settings(SLOW).down("b").up("b").after(25);
        let got = share(&lb, "b", 2_000);
        assert!((330..=470).contains(&got), "{balance:?}: {got} of 2000, a fifth is 400");
    }
}

#[test]
fn least_conn_divides_load_by_the_ramped_weight() {
    let lb = lb(["a", "b"]).balance(Balance::LeastConn).settings(SLOW).down("b").up("b").after(50);
    let held: Vec<_> = (0..30).map(|_| lb.client().starts_request()).collect();
    let at_b = held.iter().filter(|(server, _)| server == "b").count();
    assert!((9..=11).contains(&at_b), "{at_b} of 30, a third is 10");
}

#[test]
fn balance_first_ignores_slow_start() {
    let lb = lb(["a", "b"]).balance(Balance::First).settings(SLOW).down("a").up("a");
    assert_eq!(lb.new_clients(3), ["a", "a", "a"]);
}
