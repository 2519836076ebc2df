//! WASI 0.3 for wasmtime.

pub use super::{WasiClocks, WasiClocksCtxView, WasiClocksView};
use crate::Sleep;
use alloc::format;
use alloc::string::String;
use bindings::wasi::clocks::{monotonic_clock, system_clock, timezone, types};
use core::fmt;
use core::future::poll_fn;
use wasi_io::Pollable;
use wasi_types::{Datetime, Duration, Instant, WASI_0_3};
use wasmtime::Result;
use wasmtime::component::{Accessor, Linker};

/// What the `bindgen!` of `wasi:clocks@0.3.0` generates. In a world of your own, map
/// `wasi:clocks` here with `with: { "wasi:clocks": wasi_clocks::p3::bindings::wasi::clocks }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "wasi:clocks/imports",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:clocks/types`, `wasi:clocks/monotonic-clock`, `wasi:clocks/system-clock` and
/// `wasi:clocks/timezone`, under each of the names of [`WASI_0_3`].
///
/// # Errors
/// One of them is in the linker already, or its engine has no concurrency support.
pub fn add_to_linker<T: WasiClocksView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:clocks/{interface}@{version}");
        let linked = &mut linker.instance(&name("types"))?;
        types::add_to_linker_instance::<T, WasiClocks>(linked, T::clocks)?;
        let linked = &mut linker.instance(&name("monotonic-clock"))?;
        monotonic_clock::add_to_linker_instance::<T, WasiClocks>(linked, T::clocks)?;
        let linked = &mut linker.instance(&name("system-clock"))?;
        system_clock::add_to_linker_instance::<T, WasiClocks>(linked, T::clocks)?;
        let linked = &mut linker.instance(&name("timezone"))?;
        timezone::add_to_linker_instance::<T, WasiClocks>(linked, T::clocks)?;
    }
    Ok(())
}

const SECOND: u32 = 1_000_000_000;

impl From<Datetime> for system_clock::Instant {
    /// What is past the end of an `instant`, some 292 billion years from now, is the end.
    fn from(time: Datetime) -> Self {
        match i64::try_from(time.seconds()) {
            Ok(seconds) => Self {
                seconds,
                nanoseconds: time.nanoseconds(),
            },
            Err(_) => Self {
                seconds: i64::MAX,
                nanoseconds: SECOND - 1,
            },
        }
    }
}

impl TryFrom<system_clock::Instant> for Datetime {
    type Error = BeforeEpoch;

    /// Nanoseconds of a second or more, which the WIT text leaves open, carry into the seconds.
    ///
    /// # Errors
    /// [`BeforeEpoch`]: the time is before 1970.
    fn try_from(time: system_clock::Instant) -> core::result::Result<Self, BeforeEpoch> {
        // Both are far from the ends of an i128.
        let seconds = i128::from(time.seconds) + i128::from(time.nanoseconds / SECOND);
        u64::try_from(seconds)
            .ok()
            .and_then(|seconds| Self::new(seconds, time.nanoseconds % SECOND))
            .ok_or(BeforeEpoch)
    }
}

/// A guest's `instant` is before 1970-01-01T00:00:00Z, which no backend can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeforeEpoch;

impl fmt::Display for BeforeEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is before 1970-01-01T00:00:00Z")
    }
}

impl core::error::Error for BeforeEpoch {}

impl types::Host for WasiClocksCtxView<'_> {}

impl monotonic_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<Instant> {
        Ok(self.ctx.now())
    }

    fn get_resolution(&mut self) -> Result<Duration> {
        Ok(self.ctx.resolution())
    }
}

impl<T: Send + 'static> monotonic_clock::HostWithStore<T> for WasiClocks {
    async fn wait_until(accessor: &Accessor<T, Self>, when: Instant) -> Result<()> {
        let sleep = accessor.with(|mut access| access.get().ctx.sleep_until(when));
        over(sleep).await;
        Ok(())
    }

    async fn wait_for(accessor: &Accessor<T, Self>, how_long: Duration) -> Result<()> {
        let sleep = accessor.with(|mut access| access.get().ctx.sleep(how_long));
        over(sleep).await;
        Ok(())
    }
}

async fn over(mut sleep: Sleep) {
    poll_fn(|cx| sleep.poll_ready(cx)).await;
}

impl system_clock::Host for WasiClocksCtxView<'_> {
    fn now(&mut self) -> Result<system_clock::Instant> {
        Ok(self.ctx.wall_now().into())
    }

    fn get_resolution(&mut self) -> Result<Duration> {
        Ok(nanoseconds(self.ctx.wall_resolution()))
    }
}

/// Since 1970; the longest duration where it is longer than that.
fn nanoseconds(time: Datetime) -> Duration {
    time.seconds()
        .saturating_mul(SECOND.into())
        .saturating_add(time.nanoseconds().into())
}

impl timezone::Host for WasiClocksCtxView<'_> {
    fn iana_id(&mut self) -> Result<Option<String>> {
        Ok(self.ctx.iana_id().map(String::from))
    }

    fn utc_offset(&mut self, when: system_clock::Instant) -> Result<Option<i64>> {
        // What held before 1970 is not known.
        let when = Datetime::try_from(when).ok();
        Ok(when.map(|when| i64::from(self.ctx.display(when).utc_offset()) * i64::from(SECOND)))
    }

    fn to_debug_string(&mut self) -> Result<String> {
        Ok(self.ctx.describe_timezone())
    }
}

#[cfg(test)]
mod tests;
