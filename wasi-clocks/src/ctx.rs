use crate::{MonotonicClock, Sleep, Timezone, TimezoneDisplay, Utc, WallClock};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use wasi_types::{Datetime, Duration, Instant};

/// The clocks of one guest; a clone has the same ones.
///
/// With feature `std` the default is the system's time in UTC. Without it there is no clock
/// to take: hand two over.
#[derive(Clone)]
pub struct WasiClocksCtx {
    wall: Arc<dyn WallClock>,
    monotonic: Arc<dyn MonotonicClock>,
    timezone: Arc<dyn Timezone>,
}

impl WasiClocksCtx {
    /// With these two clocks, in UTC.
    pub fn new(wall: impl WallClock, monotonic: impl MonotonicClock) -> Self {
        Self {
            wall: Arc::new(wall),
            monotonic: Arc::new(monotonic),
            timezone: Arc::new(Utc),
        }
    }

    /// Takes the time of day from `clock`.
    pub fn wall_clock(mut self, clock: impl WallClock) -> Self {
        self.wall = Arc::new(clock);
        self
    }

    /// Measures with `clock`.
    pub fn monotonic_clock(mut self, clock: impl MonotonicClock) -> Self {
        self.monotonic = Arc::new(clock);
        self
    }

    /// Shows local time as in `timezone`.
    pub fn timezone(mut self, timezone: impl Timezone) -> Self {
        self.timezone = Arc::new(timezone);
        self
    }

    /// The clock that it measures with.
    pub fn monotonic(&self) -> &Arc<dyn MonotonicClock> {
        &self.monotonic
    }

    /// The time of day (`wasi:clocks/wall-clock.now`).
    pub fn wall_now(&self) -> Datetime {
        self.wall.now()
    }

    /// The step of [`WasiClocksCtx::wall_now`] (`wasi:clocks/wall-clock.resolution`).
    pub fn wall_resolution(&self) -> Datetime {
        self.wall.resolution()
    }

    /// Nanoseconds since the start of the monotonic clock (`wasi:clocks/monotonic-clock.now`).
    pub fn now(&self) -> Instant {
        self.monotonic.now()
    }

    /// The step of [`WasiClocksCtx::now`] in nanoseconds
    /// (`wasi:clocks/monotonic-clock.resolution`).
    pub fn resolution(&self) -> Duration {
        self.monotonic.resolution()
    }

    /// A wait for `deadline` (`wasi:clocks/monotonic-clock.subscribe-instant`).
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::until(self.monotonic.clone(), deadline)
    }

    /// A wait of `duration` nanoseconds from now
    /// (`wasi:clocks/monotonic-clock.subscribe-duration`).
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::lasting(self.monotonic.clone(), duration)
    }

    /// How local time is shown at `when` (`wasi:clocks/timezone.display`).
    pub fn display(&self, when: Datetime) -> TimezoneDisplay {
        self.timezone.display(when)
    }

    /// The timezone's name in the IANA database (`wasi:clocks/timezone.iana-id` of WASI 0.3).
    pub fn iana_id(&self) -> Option<Cow<'static, str>> {
        self.timezone.iana_id()
    }

    /// The timezone for a person who looks for a mistake: its name in the IANA database, or how
    /// local time is shown now (`wasi:clocks/timezone.to-debug-string` of WASI 0.3).
    pub fn describe_timezone(&self) -> String {
        match self.iana_id() {
            Some(id) => id.into_owned(),
            None => self.display(self.wall_now()).to_string(),
        }
    }
}

#[cfg(feature = "std")]
impl Default for WasiClocksCtx {
    fn default() -> Self {
        Self::new(
            crate::os::SystemWallClock,
            crate::os::SystemMonotonicClock::default(),
        )
    }
}

impl fmt::Debug for WasiClocksCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiClocksCtx").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::ManualClock;

    #[test]
    fn a_clone_has_the_same_clocks() {
        let clock = ManualClock::default();
        let ctx = WasiClocksCtx::new(clock.clone(), clock.clone());
        let other = ctx.clone();
        clock.advance(2_000_000_003);
        assert_eq!((ctx.now(), other.now()), (2_000_000_003, 2_000_000_003));
        assert_eq!(other.wall_now(), Datetime::new(2, 3).unwrap());
    }

    #[test]
    fn local_time_is_utc_unless_told_otherwise() {
        let clock = ManualClock::default();
        let ctx = WasiClocksCtx::new(clock.clone(), clock);
        assert_eq!(ctx.display(Datetime::UNIX_EPOCH), TimezoneDisplay::UTC);
        let cet = TimezoneDisplay::new(3600, "CET", false).unwrap();
        let ctx = ctx.timezone(cet.clone());
        assert_eq!(ctx.display(Datetime::UNIX_EPOCH), cet);
    }

    /// Summer time from the 100th second on.
    struct Somewhere {
        id: Option<&'static str>,
    }

    impl Timezone for Somewhere {
        fn display(&self, when: Datetime) -> TimezoneDisplay {
            let summer = when.seconds() >= 100;
            let (offset, name) = if summer { (7200, "SST") } else { (3600, "ST") };
            TimezoneDisplay::new(offset, name, summer).unwrap()
        }

        fn iana_id(&self) -> Option<Cow<'static, str>> {
            self.id.map(Cow::Borrowed)
        }
    }

    #[test]
    fn a_timezone_is_described_by_its_id_or_by_what_holds_now() {
        let clock = ManualClock::default();
        let ctx = WasiClocksCtx::new(clock.clone(), clock.clone());
        assert_eq!(ctx.iana_id().as_deref(), Some("UTC"));
        assert_eq!(ctx.describe_timezone(), "UTC");

        let named = ctx.clone().timezone(Somewhere {
            id: Some("Some/Where"),
        });
        assert_eq!(named.iana_id().as_deref(), Some("Some/Where"));
        assert_eq!(named.describe_timezone(), "Some/Where");

        let nameless = ctx.timezone(Somewhere { id: None });
        assert_eq!(nameless.iana_id(), None);
        assert_eq!(nameless.describe_timezone(), "ST (UTC+01:00)");
        clock.set_wall(Datetime::new(100, 0).unwrap());
        assert_eq!(nameless.describe_timezone(), "SST (UTC+02:00)");
    }
}
