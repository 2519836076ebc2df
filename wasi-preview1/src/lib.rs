#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod calls;
mod ctx;
mod descriptor;
mod functions;
mod memory;
mod step;
mod table;
#[cfg(feature = "wasmi")]
pub mod wasmi;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

pub use ctx::WasiPreview1Ctx;
pub use functions::{Function, Param, functions, module_name};
pub use memory::{GuestMemory, Preview0};
pub use step::{Answer, End, Outcome, Trap, Wait};
pub use wasi_types::preview1::{Errno, Signal, Version};
