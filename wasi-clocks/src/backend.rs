//! The traits an operating system implements.

use crate::TimezoneDisplay;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_io::Pollable;
use wasi_types::{Datetime, Duration, Instant};

/// A clock that tells the time of day (`wasi:clocks/wall-clock`).
pub trait WallClock: Send + Sync + 'static {
    /// The time now. It may go backwards when the clock is set. A clock that stands before
    /// 1970 says [`Datetime::UNIX_EPOCH`].
    fn now(&self) -> Datetime;

    /// The smallest step that [`WallClock::now`] can make.
    fn resolution(&self) -> Datetime;
}

/// A clock that never goes back (`wasi:clocks/monotonic-clock`).
pub trait MonotonicClock: Send + Sync + 'static {
    /// Nanoseconds since a start of this clock's choice, never less than what an earlier call
    /// gave on any thread. The start is late enough for 2^64 never to be reached.
    fn now(&self) -> Instant;

    /// The smallest step that [`MonotonicClock::now`] can make, in nanoseconds.
    fn resolution(&self) -> Duration;

    /// A wait for `deadline`: ready at some time when [`MonotonicClock::now`] is no less, and
    /// from then on.
    ///
    /// Made only for a deadline that was ahead a moment ago and that some task waits for
    /// ([`Sleep`](crate::Sleep) sees to that); dropped, it gives up the wait.
    fn timer(&self, deadline: Instant) -> Box<dyn Pollable>;
}

/// The offsets of local time, and what they are called (`wasi:clocks/timezone`).
pub trait Timezone: Send + Sync + 'static {
    /// What holds at `when`; [`TimezoneDisplay::UTC`] where that is not known.
    fn display(&self, when: Datetime) -> TimezoneDisplay;

    /// Its name in the IANA time zone database, such as `Europe/Berlin`. The default has none.
    fn iana_id(&self) -> Option<Cow<'static, str>> {
        None
    }
}

impl<T: WallClock + ?Sized> WallClock for Arc<T> {
    fn now(&self) -> Datetime {
        (**self).now()
    }

    fn resolution(&self) -> Datetime {
        (**self).resolution()
    }
}

impl<T: MonotonicClock + ?Sized> MonotonicClock for Arc<T> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn resolution(&self) -> Duration {
        (**self).resolution()
    }

    fn timer(&self, deadline: Instant) -> Box<dyn Pollable> {
        (**self).timer(deadline)
    }
}
