//! Ties expire in Burdock, even when the client keeps its cookie.

use burdock::session::lifetime::Lifetime;

use crate::language::{Client, Lb, lb};

fn with(idle: Option<u32>, life: Option<u32>) -> (Lb, Client) {
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.lifetime = Lifetime { idle, life });
    let mut client = lb.client();
    client.visits(1).settled(["inserted"]);
    (lb, client)
}

#[test]
fn a_tie_is_renewed_after_a_tenth_of_its_idle_time() {
    let (lb, mut client) = with(Some(1_800), None);
    let lb = lb.after(179);
    client.visits(1).settled(["kept"]);
    let _lb = lb.after(1);
    client.visits(2).settled(["renewed", "kept"]);
}

#[test]
fn a_session_in_use_never_expires_by_idle_time() {
    let (mut lb, mut client) = with(Some(1_800), None);
    for _ in 0..50 {
        lb = lb.after(1_700);
        client.visits(1).because(["hit"]).settled(["renewed"]);
    }
}

#[test]
fn an_idle_session_expires_and_starts_over() {
    let (lb, mut client) = with(Some(1_800), None);
    let _lb = lb.after(1_981);
    client.visits(2).because(["expired_idle", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn renewals_do_not_extend_max_life() {
    let (mut lb, mut client) = with(Some(1_800), Some(3_600));
    for _ in 0..3 {
        lb = lb.after(1_000);
        client.visits(1).because(["hit"]);
    }
    let _lb = lb.after(600);
    client.visits(2).because(["expired_life", "hit"]);
}

#[test]
fn moves_do_not_extend_max_life() {
    let (lb, mut client) = with(None, Some(3_600));
    let lb = lb.after(3_000).down("a").down("b").up("b");
    client.visits(1).because(["down"]).settled(["rewritten"]);
    let _lb = lb.after(600);
    client.visits(1).because(["expired_life"]);
}

#[test]
fn requests_with_one_expired_token_agree_on_a_server() {
    let lifetime = Lifetime { idle: Some(1_800), life: None };
    let lb = lb(["a", "b", "c", "d"]).cookie(|cookie| cookie.lifetime = lifetime);
    let tokens: Vec<String> = (0..40)
        .map(|_| {
            let mut client = lb.client();
            client.visits(1);
            client.token()
        })
        .collect();
    let lb = lb.after(2_000);
    let mut used = std::collections::BTreeSet::new();
    for token in tokens {
        let serve =
            || lb.client().holding(&token).visits(1).because(["expired_idle"]).settled(["rewritten"]).servers().remove(0);
        let first = serve();
        assert!((0..15).all(|_| serve() == first));
        used.insert(first);
    }
    assert_eq!(used.len(), 4, "expired sessions spread");
}

#[test]
fn a_session_in_use_outlives_max_age() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {max_age: 1h}}]");
    let mut client = lb.client();
    client.visits(1).settled(["inserted"]);
    let lb = lb.after(359);
    client.visits(1).settled(["kept"]);
    let _lb = lb.after(1);
    let visit = client.visits(1).settled(["renewed"]).last();
    assert!(visit.set_cookie[0].contains("; Max-Age=3600"), "{visit:?}");
    client.visits(1).settled(["kept"]);
}

#[test]
fn the_shorter_of_idle_timeout_and_max_age_renews() {
    for (times, due) in [("max_age: 1h, idle_timeout: 10h", 360), ("max_age: 10h, idle_timeout: 1h", 360)] {
        let lb = lb(["a", "b"]).sticky(&format!("[{{cookie: {{{times}}}}}]"));
        let mut client = lb.client();
        client.visits(1);
        let lb = lb.after(due - 1);
        client.visits(1).settled(["kept"]);
        let _lb = lb.after(1);
        client.visits(1).settled(["renewed"]);
    }
}

#[test]
fn a_step_of_the_clock_is_not_idle_time() {
    let (lb, mut client) = with(Some(1_800), Some(7_200));
    let lb = lb.after(1_000).steps(86_400).after(900);
    client.visits(1).because(["hit"]).settled(["renewed"]);
    let lb = lb.after(1_981);
    client.visits(1).because(["expired_idle"]);
    drop(lb);
    let (lb, mut client) = with(Some(1_800), Some(7_200));
    let lb = lb.steps(86_400).after(1_981);
    client.visits(1).because(["expired_idle"]);
    drop(lb);
}

#[test]
fn a_step_of_the_clock_does_not_count_as_life() {
    let (mut lb, mut client) = with(Some(1_800), Some(3_600));
    lb = lb.after(1_000).steps(86_400);
    client.visits(1).because(["hit"]).settled(["renewed"]);
    lb = lb.after(1_500);
    client.visits(1).because(["hit"]);
    let _lb = lb.after(1_100);
    client.visits(1).because(["expired_life"]);
}

#[test]
fn a_clock_that_steps_forward_and_back_ends_no_session() {
    let (lb, mut client) = with(Some(1_800), None);
    let lb = lb.steps(7_200).after(100).steps(-7_200).after(100);
    client.visits(1).because(["hit"]);
    let _lb = lb.after(1_981);
    client.visits(1).because(["expired_idle"]);
}

#[test]
fn a_step_of_the_clock_before_an_upgrade_ends_no_session_after_it() {
    let (lb, mut client) = with(Some(1_800), Some(7_200));
    let lb = lb.after(1_000).steps(86_400).after(400).upgraded().after(300);
    client.visits(1).because(["hit"]).settled(["renewed"]);
    let lb = lb.after(1_981);
    client.visits(1).because(["expired_idle"]);
    drop(lb);
}
