#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod ctx;
#[cfg(feature = "p2")]
mod host;
#[cfg(feature = "std")]
pub mod os;
pub mod seeded;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use backend::Random;
pub use ctx::{RandomError, WasiRandomCtx};
#[cfg(feature = "p2")]
pub use host::p2;
pub use wasi_io::Error;
