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

/// The versions that the interfaces of WASI 0.3 are linked under: the names of the release
/// candidate that the first tools were made for stand for the same types. Imports of any other
/// 0.3.x are satisfied by the first.
pub const WASI_0_3: [&str; 2] = ["0.3.0", "0.3.0-rc-2026-03-15"];

/// A point on a monotonic clock in nanoseconds since a start that only that clock knows
/// (`wasi:clocks/monotonic-clock.instant`).
pub type Instant = u64;
