//! An estimate of the live sessions of a server, for ties that only the clients hold, so that no list of them exists.
//!
//! A sliding HyperLogLog (Flajolet et al., 2007): one sketch per tenth of the idle time holds the random numbers
//! of the sessions whose token was issued or renewed in it. Every active session is renewed once per tenth, so the union of the
//! last eleven sketches holds all sessions within their idle time. With 2,048 registers the standard error is 2.3 %; small
//! numbers are nearly exact. A session that has moved away counts until its idle time is over. 24 KiB per server.

use super::number::SessionNumber;
use crate::lock::Mutex;
use crate::time::UnixSeconds;

const BITS: u32 = 11;
const REGISTERS: usize = 1 << BITS;
/// Ten tenths, the current one, and a spare one because a renewal may be a tenth late.
const SKETCHES: usize = 12;
/// The sketches that count as live.
const LIVE_SKETCHES: u32 = 11;

/// The sketches of one server.
#[derive(Debug)]
pub struct Estimate {
    /// Seconds in a tenth of the idle time.
    tenth: u32,
    sketches: Mutex<Box<[Sketch; SKETCHES]>>,
}

#[derive(Clone, Debug)]
struct Sketch {
    /// Its tenth, counted since 1970.
    tenth: u32,
    registers: Box<[u8]>,
}

impl Estimate {
    /// For sessions with this idle time, in seconds.
    pub fn new(idle: u32) -> Self {
        let empty = || Sketch { tenth: 0, registers: vec![0; REGISTERS].into() };
        Self { tenth: (idle / 10).max(1), sketches: Mutex::new(Box::new(std::array::from_fn(|_| empty()))) }
    }

    /// A token of this session was issued or renewed.
    pub fn record(&self, session: SessionNumber, now: UnixSeconds) {
        let tenth = now.0 / self.tenth;
        let mut sketches = self.sketches.lock();
        let sketch = &mut sketches[tenth as usize % SKETCHES];
        if sketch.tenth != tenth {
            sketch.tenth = tenth;
            sketch.registers.fill(0);
        }
        let SessionNumber(number) = session;
        let register = (number >> (64 - BITS)) as usize;
        let rank = ((number << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        sketch.registers[register] = sketch.registers[register].max(rank);
    }

    /// The estimated number of sessions within their idle time.
    pub fn live(&self, now: UnixSeconds) -> u64 {
        let tenth = now.0 / self.tenth;
        let sketches = self.sketches.lock();
        let mut union = vec![0_u8; REGISTERS];
        let within = sketches.iter().filter(|sketch| sketch.tenth <= tenth && tenth - sketch.tenth < LIVE_SKETCHES);
        for sketch in within.filter(|sketch| sketch.tenth > 0) {
            for (all, one) in union.iter_mut().zip(&sketch.registers) {
                *all = (*all).max(*one);
            }
        }
        drop(sketches);
        count(&union)
    }
}

/// HyperLogLog's estimate; linear counting if many registers are empty.
fn count(registers: &[u8]) -> u64 {
    let all = registers.len() as f64;
    let empty = registers.iter().filter(|&&rank| rank == 0).count();
    let sum: f64 = registers.iter().map(|&rank| 0.5_f64.powi(i32::from(rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
    let estimate = if raw <= 2.5 * all && empty > 0 { all * (all / empty as f64).ln() } else { raw };
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng};

    fn sessions(count: u64) -> impl Iterator<Item = SessionNumber> {
        let mut random = StdRng::seed_from_u64(count);
        (0..count).map(move |_| SessionNumber(random.next_u64()))
    }

    fn close(estimate: u64, count: u64) -> bool {
        estimate.abs_diff(count) as f64 <= (count as f64 * 0.07).max(2.0)
    }

    #[test]
    fn an_estimate_is_within_three_standard_errors() {
        for count in [0, 1, 10, 100, 1_000, 5_000, 20_000, 200_000] {
            let estimate = Estimate::new(600);
            sessions(count).for_each(|session| estimate.record(session, UnixSeconds(1_000_000)));
            let live = estimate.live(UnixSeconds(1_000_000));
            assert!(close(live, count), "{live} for {count}");
        }
    }

    #[test]
    fn a_renewed_session_counts_once() {
        let estimate = Estimate::new(600);
        for second in (0..3_000).step_by(60) {
            sessions(500).for_each(|session| estimate.record(session, UnixSeconds(1_000_000 + second)));
        }
        assert!(close(estimate.live(UnixSeconds(1_003_000)), 500));
    }

    #[test]
    fn a_session_stops_counting_after_its_idle_time() {
        let estimate = Estimate::new(600);
        sessions(500).for_each(|session| estimate.record(session, UnixSeconds(1_000_000)));
        assert!(close(estimate.live(UnixSeconds(1_000_600)), 500), "they still count");
        assert_eq!(estimate.live(UnixSeconds(1_000_720)), 0);
        sessions(20).for_each(|session| estimate.record(session, UnixSeconds(1_000_800)));
        assert_eq!(estimate.live(UnixSeconds(1_000_800)), 20);
    }

    #[test]
    fn a_clock_set_back_keeps_counting() {
        let estimate = Estimate::new(600);
        sessions(50).for_each(|session| estimate.record(session, UnixSeconds(1_000_000)));
        assert_eq!(estimate.live(UnixSeconds(900_000)), 0);
        sessions(10).for_each(|session| estimate.record(session, UnixSeconds(900_000)));
        assert_eq!(estimate.live(UnixSeconds(900_000)), 10);
    }
}
