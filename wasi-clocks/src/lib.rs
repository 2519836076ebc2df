#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod ctx;
#[cfg(any(feature = "p2", feature = "p3"))]
mod host;
pub mod manual;
#[cfg(feature = "std")]
pub mod os;
mod sleep;
#[cfg(feature = "testkit")]
pub mod testkit;
mod timezone;

pub use backend::{MonotonicClock, Timezone, WallClock};
pub use ctx::WasiClocksCtx;
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use sleep::Sleep;
pub use timezone::{TimezoneDisplay, Utc};
pub use wasi_types::{Datetime, Duration, Instant};
