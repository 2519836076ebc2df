//! Filesystems that have inodes and names, and the paths above them.

mod backend;
mod object;
#[cfg(test)]
mod tests;
mod walk;

pub use backend::{Access, Vfs};
pub use object::directory;

use core::sync::atomic::{AtomicUsize, Ordering};

/// A number for [`DescriptorStat::device`](crate::DescriptorStat::device) that no other
/// filesystem has which took one from here; the machine's own stay far below.
pub fn new_device() -> u64 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // The range of `usize` may be less than that of `u64`, never more.
    1 << 63 | number as u64
}
