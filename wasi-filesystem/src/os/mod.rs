//! The files of this machine, below directories that it grants.
//!
//! Paths are resolved by cap-std: on Linux by `openat2` with `RESOLVE_BENEATH`, elsewhere step
//! by step. Everything else works on what was opened so.

mod bufs;
mod calls;
mod directory;
mod entries;
mod file;
mod path;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(
    target_os = "linux",
    allow(dead_code, reason = "the tests compare the two")
)]
mod portable;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as sys;
#[cfg(not(target_os = "linux"))]
use portable as sys;

#[cfg(all(test, target_os = "linux"))]
mod tests;

pub use calls::Mode;
pub use directory::OsDirectory;
