//! Steps of the wall clock. The dates of sessions are those of the wall clock, because tokens and tables outlive the process; but if it
//! steps forward, as after a wrong time was corrected, no time has passed. The process's monotonic clock tells a step from time.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU64};

use serde::{Deserialize, Serialize};

use crate::lock::Mutex;
use crate::time::{Skipped, UnixMillis, UnixSeconds, Uptime};

/// A difference between both clocks that grew by less is no step: clocks are slewed. In milliseconds.
const STEP: u64 = 2_000;
/// Smaller differences are not even noted.
const NOISE: u64 = 200;
/// Before the first observation.
const UNKNOWN: i64 = i64::MIN;

/// Watches both clocks for steps.
#[derive(Debug)]
pub struct ClockSteps {
    /// The wall clock minus uptime, in milliseconds.
    offset: AtomicI64,
    /// [`Skipped`], in one word.
    skipped: AtomicU64,
    changing: Mutex<()>,
}

/// What the process that continues the uptime of this one must know: its sessions are from before the step, too.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct StepsHandoff {
    /// The wall clock minus uptime, in milliseconds. None before the first observation.
    offset: Option<i64>,
    skipped: Skipped,
}

impl Default for ClockSteps {
    fn default() -> Self {
        Self::after(StepsHandoff::default())
    }
}

impl ClockSteps {
    /// Continues the observations of the previous process. If its uptime is continued only after a while, this counts as a step of
    /// so long, which makes sessions live longer rather than end.
    pub fn after(before: StepsHandoff) -> Self {
        let offset = AtomicI64::new(before.offset.unwrap_or(UNKNOWN));
        Self { offset, skipped: AtomicU64::new(pack(before.skipped)), changing: Mutex::new(()) }
    }

    pub fn handoff(&self) -> StepsHandoff {
        let _unchanged = self.changing.lock();
        let offset = Some(self.offset.load(Relaxed)).filter(|&offset| offset != UNKNOWN);
        StepsHandoff { offset, skipped: unpack(self.skipped.load(Relaxed)) }
    }

    /// Compares both clocks, which were read at the same moment, and returns what the wall clock has skipped.
    pub fn observe(&self, wall: UnixMillis, uptime: Uptime) -> Skipped {
        let offset = (wall.0 as i64).saturating_sub(uptime.0.as_millis() as i64);
        let known = self.offset.load(Acquire);
        if offset.abs_diff(known) < NOISE {
            return unpack(self.skipped.load(Relaxed));
        }
        let _one_at_a_time = self.changing.lock();
        let known = self.offset.load(Relaxed);
        let before = unpack(self.skipped.load(Relaxed));
        let is_step = known != UNKNOWN && offset.abs_diff(known) >= STEP;
        let after = if is_step { stepped(before, wall.seconds(), offset.saturating_sub(known) / 1_000) } else { before };
        // In this order: a thread that sees the new offset must see what was skipped.
        self.skipped.store(pack(after), Relaxed);
        self.offset.store(offset, Release);
        after
    }
}

/// What is skipped after a step of so many seconds to the date `wall`. Steps forward add up; a step back goes through dates again.
fn stepped(before: Skipped, wall: UnixSeconds, by: i64) -> Skipped {
    if by < 0 {
        let to = before.to.min(wall);
        return if to > before.from { Skipped { to, ..before } } else { Skipped::default() };
    }
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    let size = before.to.since(before.from).saturating_add(by);
    Skipped { from: UnixSeconds(wall.0.saturating_sub(size)), to: wall }
}

fn pack(Skipped { from, to }: Skipped) -> u64 {
    u64::from(from.0) << 32 | u64::from(to.0)
}

fn unpack(packed: u64) -> Skipped {
    Skipped { from: UnixSeconds((packed >> 32) as u32), to: UnixSeconds(packed as u32) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: u64 = 1_800_000_000;

    fn observe(steps: &ClockSteps, wall: u64, uptime: u64) -> Skipped {
        steps.observe(UnixMillis(wall * 1_000), Uptime(Duration::from_secs(uptime)))
    }

    fn skipped(from: u64, to: u64) -> Skipped {
        Skipped { from: UnixSeconds(from as u32), to: UnixSeconds(to as u32) }
    }

    #[test]
    fn time_that_passes_and_slewing_are_no_steps() {
        let steps = ClockSteps::default();
        for second in 0..10_000 {
            let wall = UnixMillis((START + second) * 1_000 + second);
            assert_eq!(steps.observe(wall, Uptime(Duration::from_secs(second))), Skipped::default());
        }
    }

    #[test]
    fn a_step_forward_is_skipped_and_steps_add_up() {
        let steps = ClockSteps::default();
        observe(&steps, START, 0);
        assert_eq!(observe(&steps, START + 3_700, 100), skipped(START + 100, START + 3_700));
        assert_eq!(observe(&steps, START + 3_800, 200), skipped(START + 100, START + 3_700));
        assert_eq!(observe(&steps, START + 5_000, 400), skipped(START + 400, START + 5_000));
    }

    #[test]
    fn a_step_back_goes_through_skipped_dates_again() {
        let steps = ClockSteps::default();
        observe(&steps, START, 0);
        observe(&steps, START + 3_600, 0);
        assert_eq!(observe(&steps, START + 1_000, 0), skipped(START, START + 1_000));
        assert_eq!(observe(&steps, START - 1_000, 0), Skipped::default());
    }

    #[test]
    fn the_next_process_knows_earlier_steps_and_notices_one_before_its_first_observation() {
        let steps = ClockSteps::default();
        assert_eq!(observe(&ClockSteps::after(steps.handoff()), START, 0), Skipped::default());
        observe(&steps, START, 0);
        observe(&steps, START + 3_600, 0);
        let next = || ClockSteps::after(steps.handoff());
        assert_eq!(observe(&next(), START + 3_700, 100), skipped(START, START + 3_600));
        assert_eq!(observe(&next(), START + 4_700, 100), skipped(START + 100, START + 4_700));
    }

    #[test]
    fn a_date_before_a_step_is_as_old_as_the_time_that_passed() {
        let skipped = skipped(1_000, 5_000);
        for (date, shifted) in [(900, 4_900), (1_000, 5_000), (3_000, 5_000), (5_000, 5_000), (5_100, 5_100)] {
            assert_eq!(skipped.shift(UnixSeconds(date)), UnixSeconds(shifted));
        }
        assert_eq!(Skipped::default().shift(UnixSeconds(7)), UnixSeconds(7));
    }
}
