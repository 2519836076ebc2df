#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod descriptor;
#[cfg(feature = "p2")]
mod host;
#[cfg(feature = "std")]
pub mod os;
pub mod vfs;

pub use backend::{Directory, DirectoryEntries, File, Object, Result};
pub use descriptor::{Descriptor, DirectoryEntryStream};
#[cfg(feature = "p2")]
pub use host::p2;
pub use vfs::Vfs;
pub use wasi_error::filesystem::ErrorCode;
pub use wasi_types::filesystem::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, NewTimestamp,
    OpenFlags, PathFlags,
};

/// The most bytes that a path of a guest has; one more is [`ErrorCode::NameTooLong`].
pub const PATH_MAX: usize = 4096;
