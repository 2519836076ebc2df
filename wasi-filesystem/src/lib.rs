#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod ctx;
mod descriptor;
mod freshness;
mod hash;
#[cfg(any(feature = "p2", feature = "p3"))]
mod host;
pub mod memory;
#[cfg(feature = "std")]
pub mod os;
mod overlay;
mod path;
mod read_only;
mod stream;
#[cfg(feature = "testkit")]
pub mod testkit;
mod vectored;
pub mod vfs;

pub use backend::{Directory, DirectoryEntries, File, Object, Result};
pub use ctx::WasiFilesystemCtx;
pub use descriptor::{Descriptor, filesystem_error_code};
pub use hash::MetadataHashValue;
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use overlay::Overlay;
pub use read_only::ReadOnly;
pub use stream::DirectoryEntryStream;
pub use vfs::Vfs;
pub use wasi_error::filesystem::ErrorCode;
pub use wasi_types::filesystem::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, NewTimestamp,
    OpenFlags, PathFlags,
};

/// The most bytes that a path of a guest has; one more is [`ErrorCode::NameTooLong`].
pub const PATH_MAX: usize = 4096;
