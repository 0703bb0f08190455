//! A server drains under constant load: no session is moved, no new one is assigned, and the count of sessions reaches zero.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::harness::{Burdock, Client, SetOnDrop, Site, rounds, wait_until};

/// Three servers, the first in this state, whose sessions end after four idle seconds.
fn with_first(state: &str) -> String {
    let servers = format!(
        "[{{id: web-1, address: '$IP:9001', state: {state}}}, {{id: web-2, address: '$IP:9002'}}, {{id: web-3, address: '$IP:9003'}}]"
    );
    format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{idle_timeout: 4s}}}}]}}}}")
}

fn sessions(burdock: &Burdock, server: &str) -> f64 {
    burdock.metrics().sum("burdock_server_sessions", &[("server", server)])
}

/// Sends requests for each client in turn until `stop` is set, and counts responses from a server other than the client's
/// first.
fn send_until(clients: &mut [(Client, String)], stop: &AtomicBool, moved: &AtomicUsize) {
    while !stop.load(Relaxed) {
        for (client, home) in clients.iter_mut() {
            let answer = client.get("/");
            if answer.status != 200 || answer.served_by() != *home {
                moved.fetch_add(1, Relaxed);
            }
        }
    }
}

#[test]
fn a_drain_moves_no_session_takes_no_new_one_and_reaches_zero() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.burdock(&with_first("ready"));
    let all = rounds(500).max(100);
    let mut clients: Vec<(Client, String)> = (0..all)
        .map(|_| {
            let mut client = burdock.client();
            let home = client.get("/").served_by().to_owned();
            (client, home)
        })
        .collect();
    clients.sort_by_key(|(_, home)| home != "web-1");
    let draining = clients.iter().filter(|(_, home)| home == "web-1").count();
    assert!((all / 3..=all / 3 + 1).contains(&draining), "{draining}");
    let mut others = clients.split_off(draining);
    let (gone, stop, moved) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let tied = scope.spawn(|| send_until(&mut clients, &gone, &moved));
        let rest = scope.spawn(|| send_until(&mut others, &stop, &moved));
        let (first_end, second_end) = (SetOnDrop(&gone), SetOnDrop(&stop));
        assert!(burdock.reload(&site, &with_first("drain")));
        let reported = sessions(&burdock, "web-1");
        assert!((reported - draining as f64).abs() <= draining as f64 * 0.15, "{reported} reported of {draining}");
        for _ in 0..20 {
            assert_ne!(burdock.get("/new").served_by(), "web-1");
        }
        assert!(sessions(&burdock, "web-1") > 0.0, "its sessions remain");
        drop(first_end);
        tied.join().unwrap();
        wait_until("the last session is gone", || sessions(&burdock, "web-1") == 0.0);
        assert!(sessions(&burdock, "web-2") > 0.0, "the others still have sessions");
        drop(second_end);
        rest.join().unwrap();
    });
    assert_eq!(moved.load(Relaxed), 0);
}
