#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(not(feature = "p2"))]
compile_error!("agave-host needs a version of WASI to link: enable its feature `p2`");

mod compiled;
mod ctx;
pub mod demo;
#[cfg(feature = "std")]
mod engine;
mod guest;
mod host;
mod limits;
mod link;
#[cfg(feature = "std")]
pub mod os;
mod program;
mod run;
mod service;
mod state;
#[cfg(feature = "wasmi")]
pub mod wasmi;

#[cfg(feature = "compile")]
pub use compiled::compile;
pub use compiled::{Compiled, Target, UnknownTarget};
pub use ctx::{Ctx, CtxBuilder};
#[cfg(feature = "std")]
pub use engine::HostBuilder;
pub use guest::{Executor, TimedOut};
pub use host::Host;
pub use limits::Limits;
#[cfg(feature = "p3")]
pub use link::add_p3_to_linker;
pub use link::{add_to_linker, add_to_module_linker};
pub use program::{LoadError, Program};
pub use run::RunError;
pub use service::{RequestNumber, ServeError, Service, Serving};
pub use state::HostState;
pub use wasi_io::BoxFuture;
