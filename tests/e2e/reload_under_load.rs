//! Continuous reloads under load: no request fails, no session moves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::harness::{SetOnDrop, Site, rounds, shop};

#[test]
fn no_request_fails_and_no_session_moves_under_continuous_reloads() {
    let site = Site::new();
    let _origins = site.origins::<4>();
    let burdock = site.shop(4, "sticky: cookie");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = burdock.client();
                    let home = client.get("/").served_by().to_owned();
                    while !stop.load(Relaxed) {
                        let answer = client.get("/");
                        assert_eq!((answer.status, answer.served_by()), (200, &*home));
                        answered.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        let end = SetOnDrop(&stop);
        for round in 0..rounds(200) {
            let settings = format!("sticky: cookie\nbalance: {}", ["round_robin", "least_conn", "random_two"][round % 3]);
            // Every third reload removes the last two servers, and the next one restores them.
            let servers = if round % 3 == 2 { 2 } else { 4 };
            assert!(burdock.reload(&site, &shop(servers, &settings)), "{}", burdock.stderr());
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    println!("{} requests", answered.load(Relaxed));
    assert!(answered.load(Relaxed) > 100);
}
