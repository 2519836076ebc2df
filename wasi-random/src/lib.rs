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
#[cfg(feature = "std")]
pub mod os;
pub mod seeded;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use backend::Random;
pub use ctx::{RandomError, WasiRandomCtx};
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use wasi_io::Error;
