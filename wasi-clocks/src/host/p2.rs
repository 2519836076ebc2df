//! WASI 0.2 for wasmtime.

pub use super::{WasiClocks, WasiClocksCtxView, WasiClocksView};
use alloc::string::String;
use bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use wasi_io::p2::{DynPollable, subscribe_owned};
use wasi_types::{Datetime, Duration, Instant};
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// What the `bindgen!` of `wasi:clocks@0.2.12` generates. In a world of your own, map
/// `wasi:clocks` here with `with: { "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "wasi:clocks/imports",
        with: { "wasi:io": wasi_io::p2::bindings::wasi::io },
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:clocks/monotonic-clock`, `wasi:clocks/timezone` and `wasi:clocks/wall-clock`.
/// They refer to `wasi:io/poll`, which [`wasi_io::p2::add_to_linker`] links.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiClocksView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    monotonic_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    timezone::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    wall_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    Ok(())
}

impl From<Datetime> for wall_clock::Datetime {
    fn from(time: Datetime) -> Self {
        Self {
            seconds: time.seconds(),
            nanoseconds: time.nanoseconds(),
        }
    }
}

impl From<wall_clock::Datetime> for Datetime {
    /// Nanoseconds of a second or more, which the WIT text leaves open, carry into the seconds.
    fn from(time: wall_clock::Datetime) -> Self {
        const SECOND: u32 = 1_000_000_000;
        let carry = u64::from(time.nanoseconds / SECOND);
        let seconds = time.seconds.saturating_add(carry);
        Self::new(seconds, time.nanoseconds % SECOND).unwrap_or_default()
    }
}

impl wall_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall_now().into())
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall_resolution().into())
    }
}

impl monotonic_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<Instant> {
        Ok(self.ctx.now())
    }

    fn resolution(&mut self) -> Result<Duration> {
        Ok(self.ctx.resolution())
    }

    fn subscribe_instant(&mut self, when: Instant) -> Result<Resource<DynPollable>> {
        subscribe_owned(self.table, self.ctx.sleep_until(when))
    }

    fn subscribe_duration(&mut self, when: Duration) -> Result<Resource<DynPollable>> {
        subscribe_owned(self.table, self.ctx.sleep(when))
    }
}

impl timezone::Host for WasiClocksCtxView<'_> {
    fn display(&mut self, when: wall_clock::Datetime) -> Result<timezone::TimezoneDisplay> {
        let display = self.ctx.display(when.into());
        Ok(timezone::TimezoneDisplay {
            utc_offset: display.utc_offset(),
            in_daylight_saving_time: display.in_daylight_saving_time(),
            name: String::from(display.into_name()),
        })
    }

    fn utc_offset(&mut self, when: wall_clock::Datetime) -> Result<i32> {
        Ok(self.ctx.display(when.into()).utc_offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::ManualClock;
    use crate::{TimezoneDisplay, WasiClocksCtx};
    use wasmtime::component::ResourceTable;

    #[test]
    fn a_guests_datetime_is_brought_into_range() {
        for (seconds, nanoseconds, expected) in [
            (1, 999_999_999, (1, 999_999_999)),
            (1, 1_000_000_000, (2, 0)),
            (1, u32::MAX, (5, 294_967_295)),
            (u64::MAX, u32::MAX, (u64::MAX, 294_967_295)),
        ] {
            let time = wall_clock::Datetime {
                seconds,
                nanoseconds,
            };
            let expected = Datetime::new(expected.0, expected.1).unwrap();
            assert_eq!(Datetime::from(time), expected);
        }
    }

    #[test]
    fn each_function_answers_from_the_guests_clocks() {
        let clock = ManualClock::new(Datetime::new(50, 1).unwrap());
        clock.advance(7);
        let zone = TimezoneDisplay::new(-3600, "Z", true).unwrap();
        let ctx = WasiClocksCtx::new(clock.clone(), clock).timezone(zone);
        let mut table = ResourceTable::new();
        let mut view = WasiClocksCtxView {
            ctx: &ctx,
            table: &mut table,
        };
        let wall = wall_clock::Host::now(&mut view).unwrap();
        assert_eq!((wall.seconds, wall.nanoseconds), (50, 8));
        assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), 7);
        let shown = timezone::Host::display(&mut view, wall).unwrap();
        assert_eq!(shown.utc_offset, -3600);
        assert_eq!(shown.name, "Z");
        assert!(shown.in_daylight_saving_time);
        assert_eq!(timezone::Host::utc_offset(&mut view, wall).unwrap(), -3600);
        assert!(monotonic_clock::Host::subscribe_duration(&mut view, u64::MAX).is_ok());
        assert!(monotonic_clock::Host::subscribe_instant(&mut view, 0).is_ok());
    }
}
