//! The heap: all memory that nothing else has, in one piece.

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Mutex;
use talc::base::Talc;
use talc::base::binning::DefaultBinning;
use talc::source::Manual;

/// Blocks of this many bytes and more leave the last [`Heap::reserve`] of the heap to smaller
/// ones. Only programs ask for so much at once (their memories and stacks), and for them a
/// failure is an error; what the kernel and the interfaces hold is in smaller blocks, of which
/// a failure would be the end.
pub(crate) const LARGE: usize = 512 << 10;

/// The part of the heap that large blocks leave: one in this many.
const RESERVE: usize = 8;

struct Heap {
    talc: Mutex<Talc<Manual, DefaultBinning>>,
    total: AtomicUsize,
    used: AtomicUsize,
    most: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap = Heap {
    talc: Mutex::new(Talc::new(Manual)),
    total: AtomicUsize::new(0),
    used: AtomicUsize::new(0),
    most: AtomicUsize::new(0),
};

impl Heap {
    /// Counts `size` bytes more, unless they are not for a block so large.
    fn take(&self, size: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed).saturating_add(size);
        let total = self.total.load(Ordering::Relaxed);
        if size >= LARGE && used > total - total / RESERVE {
            return false;
        }
        self.used.store(used, Ordering::Relaxed);
        self.most.fetch_max(used, Ordering::Relaxed);
        true
    }

    fn give_back(&self, size: usize) {
        self.used.fetch_sub(size, Ordering::Relaxed);
    }
}

// SAFETY: blocks are talc's. Interrupt handlers allocate nothing, so none waits for the lock.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !self.take(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the size is not 0, by the contract of `GlobalAlloc`.
        match unsafe { self.talc.lock().allocate(layout) } {
            Some(block) => block.as_ptr(),
            None => {
                self.give_back(layout.size());
                ptr::null_mut()
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.give_back(layout.size());
        // SAFETY: the block came from `alloc` with this layout.
        unsafe { self.talc.lock().deallocate(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller has it.
        if unsafe { self.talc.lock().try_realloc_in_place(block, layout, size) } {
            self.give_back(layout.size());
            let used = self.used.fetch_add(size, Ordering::Relaxed) + size;
            self.most.fetch_max(used, Ordering::Relaxed);
            return block;
        }
        // SAFETY: the alignment is the layout's, and `size`, rounded up to it, fits into `isize`.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `size` is not 0; the blocks don't overlap, and both have as much as is copied;
        // the old one came from this allocator.
        unsafe {
            let moved = self.alloc(larger);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Allocates from `memory` from now on.
///
/// # Safety
/// `memory` is mapped, is RAM, and nobody else has any of it.
pub(crate) unsafe fn init(memory: Range<usize>) {
    let base = ptr::with_exposed_provenance_mut(memory.start);
    // SAFETY: as the caller has it.
    if unsafe { HEAP.talc.lock().claim(base, memory.len()) }.is_some() {
        HEAP.total.store(memory.len(), Ordering::Relaxed);
    }
}

/// How much there is, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) total: usize,
    pub(crate) used: usize,
    /// The most that was used at a time.
    pub(crate) most: usize,
}

pub(crate) fn usage() -> Usage {
    Usage {
        total: HEAP.total.load(Ordering::Relaxed),
        used: HEAP.used.load(Ordering::Relaxed),
        most: HEAP.most.load(Ordering::Relaxed),
    }
}

/// Says on the console how much of it is used.
pub(crate) fn tell() {
    let Usage { total, used, most } = usage();
    crate::say!("heap: {used} of {total} bytes used, at most {most}");
}
