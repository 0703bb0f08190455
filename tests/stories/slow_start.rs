//! Slow start: a server that comes up, or is added, gets its share of new sessions little by little.

use burdock::upstream::balance::Balance;

use crate::language::{Lb, lb};

const SLOW: &str = "slow_start: 100s";

/// How many of so many new clients this server gets.
fn share(lb: &Lb, id: &str, of: usize) -> usize {
    lb.new_clients(of).iter().filter(|server| *server == id).count()
}

#[test]
fn a_server_that_comes_up_grows_in_a_straight_line() {
    let lb = lb(["a", "b"]).settings(SLOW).down("b").up("b");
    let mut at = vec![share(&lb, "b", 1_100)];
    for _ in 0..5 {
        lb.clone().after(20);
        at.push(share(&lb, "b", 1_200));
    }
    // Of one unit: a tenth, then 0.2, 0.4, 0.6, 0.8 and all of it, each beside a whole one.
    let expected = [100.0, 1_200.0 / 6.0, 1_200.0 * 0.4 / 1.4, 1_200.0 * 0.6 / 1.6, 1_200.0 * 0.8 / 1.8, 600.0];
    for (got, expected) in at.iter().zip(expected) {
        assert!((*got as f64 - expected).abs() <= 2.0, "{at:?}");
    }
}

#[test]
fn a_server_that_is_added_grows_and_those_of_the_start_do_not() {
    let lb = lb(["a", "b"]).settings(SLOW);
    assert_eq!(share(&lb, "b", 10), 5);
    let lb = lb.without("b").with_server("b");
    assert_eq!(share(&lb, "b", 110), 10);
}

#[test]
fn a_server_that_comes_back_from_maintenance_or_an_ejection_grows() {
    let lb = lb(["a", "b"]).settings(SLOW).maint("b").ready("b");
    assert_eq!(share(&lb, "b", 110), 10);
    let lb = lb.after(100);
    assert_eq!(share(&lb, "b", 110), 55);
}

#[test]
fn growing_goes_on_through_other_configurations() {
    let lb = lb(["a", "b"]).settings(SLOW).down("b").up("b").after(50).weight("a", 2).weight("b", 2);
    let got = share(&lb, "b", 300);
    assert!((99..=101).contains(&got), "{got}");
}

#[test]
fn without_slow_start_a_server_has_all_of_its_weight_at_once() {
    let lb = lb(["a", "b"]).down("b").up("b");
    assert_eq!(share(&lb, "b", 100), 50);
}

#[test]
fn idle_servers_are_filled_by_what_they_have_grown_to_whatever_the_balance() {
    for balance in [Balance::LeastConn, Balance::RandomTwo] {
        let lb = lb(["a", "b"]).balance(balance).settings(SLOW).down("b").up("b").after(25);
        let got = share(&lb, "b", 2_000);
        assert!((330..=470).contains(&got), "{balance:?}: {got} of 2000, a fifth is 400");
    }
}

#[test]
fn least_conn_counts_what_is_in_flight_for_what_a_server_has_grown_to() {
    let lb = lb(["a", "b"]).balance(Balance::LeastConn).settings(SLOW).down("b").up("b").after(50);
    let held: Vec<_> = (0..30).map(|_| lb.client().begins()).collect();
    let at_b = held.iter().filter(|(server, _)| server == "b").count();
    assert!((9..=11).contains(&at_b), "{at_b} of 30, a third is 10");
}

#[test]
fn first_does_not_wait_for_a_server_to_grow() {
    let lb = lb(["a", "b"]).balance(Balance::First).settings(SLOW).down("a").up("a");
    assert_eq!(lb.new_clients(3), ["a", "a", "a"]);
}
