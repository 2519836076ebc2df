#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod datetime;
pub mod filesystem;
pub mod preview1;

pub use datetime::Datetime;

/// A span of time in nanoseconds, 0 to 2^64 - 1 (`wasi:clocks/monotonic-clock.duration`).
pub type Duration = u64;

/// A point on a monotonic clock in nanoseconds since a start that only that clock knows
/// (`wasi:clocks/monotonic-clock.instant`).
pub type Instant = u64;
