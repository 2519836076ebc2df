//! A FAT filesystem on a disk, as a backend of `wasi-filesystem`.
//!
//! The machine gives sectors ([`Disk`]); [`FatVolume`] makes files and directories of them, which
//! [`wasi_filesystem::vfs::directory`] hands to guests.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod cache;
mod disk;
mod listing;
mod node;
mod repair;
mod state;
mod time;
mod vfs;
mod volume;

pub use disk::{Disk, DiskError, REQUEST_MAX, SECTOR};
pub use node::Node;
pub use volume::{FatVolume, MountError};
