//! How long a tie holds. Stamps are whole seconds; tenths of the idle time are compared without division, so short times
//! behave like long ones.

use super::claim::BadClaim;
use super::stamps::Stamps;
use crate::time::UnixSeconds;

/// How long a tie holds, in whole seconds. It is enforced here, not left to the client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lifetime {
    /// Longest time between two requests of the session.
    pub idle: Option<u32>,
    /// Longest time since the session was first tied, through renewals and moves.
    pub life: Option<u32>,
}

/// Whether a stamp is old enough to be renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    Now,
    Later,
}

impl Lifetime {
    /// Its fields by their names in the configuration, each with whether it is the same in `other`.
    pub(crate) fn compare(self, other: Self) -> [(&'static str, bool); 2] {
        [("idle_timeout", self.idle == other.idle), ("max_life", self.life == other.life)]
    }

    /// Whether a tie with these stamps still holds.
    ///
    /// Idle: until `seen` plus eleven tenths of the idle time, because a renewal may be a tenth late; so a tie never expires early. Life:
    /// until `issued` plus the life, exactly.
    ///
    /// # Errors
    /// Which limit has been exceeded.
    pub fn check(self, stamps: Stamps, now: UnixSeconds) -> Result<(), BadClaim> {
        if self.life.is_some_and(|life| now.since(stamps.issued) >= life) {
            return Err(BadClaim::ExpiredLife);
        }
        match self.idle {
            Some(idle) if tenths(now, stamps) > u64::from(idle) * 11 => Err(BadClaim::ExpiredIdle),
            Some(_) | None => Ok(()),
        }
    }

    /// A tie is renewed by the first settled response at least a tenth of the idle time after it was stamped.
    pub fn renewal(self, stamps: Stamps, now: UnixSeconds) -> Due {
        match self.idle {
            Some(idle) if now > stamps.seen && tenths(now, stamps) >= u64::from(idle) => Due::Now,
            Some(_) | None => Due::Later,
        }
    }
}

fn tenths(now: UnixSeconds, stamps: Stamps) -> u64 {
    u64::from(now.since(stamps.seen)) * 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPS: Stamps = Stamps { issued: UnixSeconds(1_000), seen: UnixSeconds(2_000) };
    const HALF_HOUR: Lifetime = Lifetime { idle: Some(1_800), life: Some(28_800) };

    #[test]
    fn an_idle_tie_holds_for_eleven_tenths_of_its_idle_time() {
        assert_eq!(HALF_HOUR.check(STAMPS, UnixSeconds(2_000 + 1_980)), Ok(()));
        assert_eq!(HALF_HOUR.check(STAMPS, UnixSeconds(2_000 + 1_981)), Err(BadClaim::ExpiredIdle));
    }

    #[test]
    fn a_tie_is_renewed_after_a_tenth_of_its_idle_time() {
        assert_eq!(HALF_HOUR.renewal(STAMPS, UnixSeconds(2_179)), Due::Later);
        assert_eq!(HALF_HOUR.renewal(STAMPS, UnixSeconds(2_180)), Due::Now);
        let short = Lifetime { idle: Some(2), life: None };
        assert_eq!(short.renewal(STAMPS, UnixSeconds(2_000)), Due::Later);
        assert_eq!(short.renewal(STAMPS, UnixSeconds(2_001)), Due::Now);
    }

    #[test]
    fn life_counts_exactly_from_the_first_tie() {
        let seen_now = Stamps { issued: UnixSeconds(1_000), seen: UnixSeconds(29_799) };
        assert_eq!(HALF_HOUR.check(seen_now, UnixSeconds(29_799)), Ok(()));
        assert_eq!(HALF_HOUR.check(seen_now, UnixSeconds(29_800)), Err(BadClaim::ExpiredLife));
    }

    #[test]
    fn a_stamp_in_the_future_counts_as_now() {
        assert_eq!(HALF_HOUR.check(STAMPS, UnixSeconds(500)), Ok(()));
        assert_eq!(HALF_HOUR.renewal(STAMPS, UnixSeconds(500)), Due::Later);
    }

    #[test]
    fn a_tie_without_limits_never_expires_or_renews() {
        assert_eq!(Lifetime::default().check(STAMPS, UnixSeconds(u32::MAX)), Ok(()));
        assert_eq!(Lifetime::default().renewal(STAMPS, UnixSeconds(u32::MAX)), Due::Later);
    }
}
