/// A time of day: seconds and nanoseconds since 1970-01-01T00:00:00Z, leap seconds not
/// counted (`wasi:clocks/wall-clock.datetime`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl Datetime {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self {
        seconds: 0,
        nanoseconds: 0,
    };

    /// A time from its two parts; `None` where `nanoseconds` is 10^9 or more.
    pub const fn new(seconds: u64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 {
            Some(Self {
                seconds,
                nanoseconds,
            })
        } else {
            None
        }
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// The rest, 0 to 999,999,999 nanoseconds.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

#[cfg(feature = "std")]
impl TryFrom<std::time::SystemTime> for Datetime {
    /// The time is before 1970, which WASI 0.2 cannot say.
    type Error = std::time::SystemTimeError;

    fn try_from(time: std::time::SystemTime) -> Result<Self, Self::Error> {
        let since = time.duration_since(std::time::UNIX_EPOCH)?;
        Ok(Self {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_of_a_full_second_are_refused() {
        assert!(Datetime::new(1, 999_999_999).is_some());
        assert!(Datetime::new(1, 1_000_000_000).is_none());
    }

    #[test]
    fn order_is_by_seconds_then_nanoseconds() {
        assert!(Datetime::new(1, 999).unwrap() < Datetime::new(2, 0).unwrap());
        assert!(Datetime::new(2, 1).unwrap() > Datetime::new(2, 0).unwrap());
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_time_before_the_epoch_is_an_error() {
        use std::time::{Duration, UNIX_EPOCH};
        let time = UNIX_EPOCH + Duration::new(7, 8);
        assert_eq!(
            Datetime::try_from(time).unwrap(),
            Datetime::new(7, 8).unwrap()
        );
        assert!(Datetime::try_from(UNIX_EPOCH - Duration::from_secs(1)).is_err());
    }
}
