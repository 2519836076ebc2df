//! Memory that devices share with the kernel: all of it, as addresses are the same to both.

use crate::paging::{self, PAGE};
use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::{self, NonNull};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Pages from the heap.
pub(crate) struct Memory;

fn layout(pages: usize) -> Option<Layout> {
    Layout::from_size_align(pages.checked_mul(PAGE)?, PAGE).ok()
}

// SAFETY: blocks of the heap are their owner's alone, and mapped as they are; so are registers of
// devices below 4 GiB, and no others are handed to the drivers (`pci::find`).
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let block = match layout(pages) {
            // SAFETY: a queue has a page at least.
            Some(layout) => NonNull::new(unsafe { alloc_zeroed(layout) }),
            None => None,
        };
        match block {
            Some(block) => (block.expose_provenance().get() as PhysAddr, block),
            // The address 0 is a failure.
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_address: PhysAddr, block: NonNull<u8>, pages: usize) -> i32 {
        if let Some(layout) = layout(pages) {
            // SAFETY: it came from `dma_alloc`, with this many pages.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        let mapped = start
            .checked_add(size)
            .is_some_and(|end| end <= paging::END);
        match NonNull::new(ptr::with_exposed_provenance_mut(start)) {
            Some(start) if mapped => start,
            _ => unreachable!("the registers were looked at before"),
        }
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().expose_provenance().get() as PhysAddr
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
