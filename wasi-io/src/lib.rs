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
pub mod memory;
mod op;
#[cfg(feature = "std")]
pub mod os;
mod streams;
pub mod sync;
#[cfg(feature = "testkit")]
pub mod testkit;
mod wakers;

pub use backend::{InputStream, OutputStream, Pollable, poll_read_held};
pub use ctx::WasiIoCtx;
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use op::{BoxFuture, Op};
pub use streams::{BLOCKING_WRITE_MAX, DynInputStream, DynOutputStream, Trap};
pub use wakers::{SharedWaker, WakerSet};
pub use wasi_error::{Error, StreamError};
