//! An estimate of the live sessions of a server, for ties that only the clients hold, so that no list of them exists.
//!
//! A sliding HyperLogLog (Flajolet et al., 2007): one sketch per tenth of the idle time holds the random numbers
//! of the sessions whose token was issued or renewed in it. Every active session is renewed once per tenth, so the union of the
//! last eleven sketches holds all sessions within their idle time. With 2,048 registers the standard error is 2.3 %; small
//! numbers are nearly exact. A session that has moved away counts until its idle time is over. 26 KiB per server.

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
    sketches: Mutex<Sketches>,
}

#[derive(Debug)]
struct Sketches {
    by_tenth: Box<[Sketch; SKETCHES]>,
    union: Option<Union>,
}

#[derive(Clone, Debug)]
struct Sketch {
    /// Its tenth, counted since 1970.
    tenth: u32,
    registers: Box<[u8]>,
}

/// The union of the sketches that are live in one tenth. While that lasts, each new session is added to it too, so that
/// reading the estimate does not merge the sketches again.
#[derive(Debug)]
struct Union {
    tenth: u32,
    registers: Box<[u8]>,
    /// Registers without a session.
    empty: u32,
    /// The sum of 2^-rank over all registers, in units of 2^-[`UNITS`].
    sum: u64,
}

/// With 2,048 registers the sum stays below 2^64. Ranks above this are too rare to matter.
const UNITS: u32 = 52;

impl Estimate {
    /// For sessions with this idle time, in seconds.
    pub fn new(idle: u32) -> Self {
        let empty = || Sketch { tenth: 0, registers: vec![0; REGISTERS].into() };
        let by_tenth = Box::new(std::array::from_fn(|_| empty()));
        Self { tenth: (idle / 10).max(1), sketches: Mutex::new(Sketches { by_tenth, union: None }) }
    }

    /// A token of this session was issued or renewed.
    pub fn record(&self, session: SessionNumber, now: UnixSeconds) {
        let tenth = now.0 / self.tenth;
        let SessionNumber(number) = session;
        let register = (number >> (64 - BITS)) as usize;
        let rank = ((number << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        let Sketches { by_tenth, union } = &mut *self.sketches.lock();
        let sketch = &mut by_tenth[tenth as usize % SKETCHES];
        if sketch.tenth != tenth {
            sketch.tenth = tenth;
            sketch.registers.fill(0);
        }
        sketch.registers[register] = sketch.registers[register].max(rank);
        match union.as_mut().filter(|union| union.tenth == tenth) {
            Some(union) => union.raise(register, rank),
            None => *union = None,
        }
    }

    /// The estimated number of sessions within their idle time.
    pub fn live(&self, now: UnixSeconds) -> u64 {
        let tenth = now.0 / self.tenth;
        let Sketches { by_tenth, union } = &mut *self.sketches.lock();
        if union.as_ref().is_none_or(|union| union.tenth != tenth) {
            *union = Some(Union::of(&by_tenth[..], tenth));
        }
        union.as_ref().map_or(0, Union::count)
    }
}

impl Union {
    fn of(sketches: &[Sketch], tenth: u32) -> Self {
        let mut registers = vec![0_u8; REGISTERS].into_boxed_slice();
        let within = sketches.iter().filter(|sketch| sketch.tenth <= tenth && tenth - sketch.tenth < LIVE_SKETCHES);
        for sketch in within.filter(|sketch| sketch.tenth > 0) {
            for (all, one) in registers.iter_mut().zip(&sketch.registers) {
                *all = (*all).max(*one);
            }
        }
        let empty = registers.iter().filter(|&&rank| rank == 0).count() as u32;
        let sum = registers.iter().map(|&rank| share(rank)).sum();
        Self { tenth, registers, empty, sum }
    }

    fn raise(&mut self, register: usize, rank: u8) {
        let before = self.registers[register];
        if rank > before {
            self.registers[register] = rank;
            self.empty -= u32::from(before == 0);
            self.sum = self.sum - share(before) + share(rank);
        }
    }

    /// HyperLogLog's estimate; linear counting if many registers are empty.
    fn count(&self) -> u64 {
        let all = REGISTERS as f64;
        let sum = self.sum as f64 / (1_u64 << UNITS) as f64;
        let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        let few = raw <= 2.5 * all && self.empty > 0;
        let estimate = if few { all * (all / f64::from(self.empty)).ln() } else { raw };
        estimate.round() as u64
    }
}

/// 2^-rank, in units of 2^-[`UNITS`].
fn share(rank: u8) -> u64 {
    1 << (UNITS - u32::from(rank).min(UNITS))
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
    fn an_estimate_is_that_of_all_live_sketches_whenever_it_is_read() {
        let mut random = StdRng::seed_from_u64(9);
        let (often, once) = (Estimate::new(600), |upto: &[(u64, u32)]| {
            let fresh = Estimate::new(600);
            upto.iter().for_each(|&(session, now)| fresh.record(SessionNumber(session), UnixSeconds(now)));
            fresh
        });
        let (mut now, mut recorded) = (1_000_000, Vec::new());
        for step in 0..400_u32 {
            // The clock goes back now and then.
            now = if step % 97 == 96 { now - 300 } else { now + random.next_u32() % 40 };
            let session = random.next_u64();
            recorded.push((session, now));
            often.record(SessionNumber(session), UnixSeconds(now));
            assert_eq!(often.live(UnixSeconds(now)), once(&recorded).live(UnixSeconds(now)), "step {step}");
        }
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
