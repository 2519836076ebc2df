//! Filesystems that have inodes and names, and the paths above them.

mod backend;

pub use backend::Vfs;
