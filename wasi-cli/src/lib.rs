#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod ctx;
mod exit;
#[cfg(any(feature = "p2", feature = "p3"))]
mod host;
mod lines;
pub mod memory;
#[cfg(feature = "std")]
pub mod os;

pub use backend::{Stdin, Stdout};
pub use ctx::WasiCliCtx;
pub use exit::Exit;
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use lines::LineOutput;
