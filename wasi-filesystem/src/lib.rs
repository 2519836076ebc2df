#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#[cfg(feature = "p2")]
extern crate alloc;

mod descriptor;
#[cfg(feature = "p2")]
mod host;

pub use descriptor::{Descriptor, DirectoryEntryStream};
#[cfg(feature = "p2")]
pub use host::p2;
