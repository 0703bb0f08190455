//! A percentage of a group of servers.

/// 1 % to 100 %.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Percent(u8);

/// A text that is not a percentage.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write a whole number from 1 to 100 with a percent sign, such as 50%")]
pub struct InvalidPercent;

impl Percent {
    pub const HALF: Self = Self(50);

    /// Parses a percentage such as `50%`.
    ///
    /// # Errors
    /// [`InvalidPercent`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidPercent> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let percent: u8 = digits.and_then(|digits| digits.parse().ok()).ok_or(InvalidPercent)?;
        if (1..=100).contains(&percent) { Ok(Self(percent)) } else { Err(InvalidPercent) }
    }

    /// This percentage of `all`, rounded down.
    pub(crate) fn of(self, all: usize) -> usize {
        all * usize::from(self.0) / 100
    }

    /// Whether `some` of `all` is less than this percentage.
    pub(crate) fn exceeds(self, some: usize, all: usize) -> bool {
        some * 100 < all * usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_whole_number_with_a_percent_sign() {
        assert_eq!(Percent::parse("50%"), Ok(Percent::HALF));
        for wrong in ["", "%", "50", "0%", "101%", "-1%", "+5%", "5.5%", "300%", "50 %"] {
            assert_eq!(Percent::parse(wrong), Err(InvalidPercent), "{wrong}");
        }
    }

    #[test]
    fn half_of_one_server_is_none_and_of_three_one() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(|all| Percent::HALF.of(all)), [0, 0, 1, 1, 2, 2]);
        assert_eq!([1, 2, 3].map(|up| Percent::HALF.exceeds(up, 4)), [true, false, false]);
    }
}
