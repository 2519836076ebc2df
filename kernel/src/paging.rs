//! What memory may be used for: nothing is writable and executable.
//!
//! The first 4 GiB are mapped as they are. [`init`] gives each part of the kernel its permissions
//! and all else to data; [`protect`] changes those of pages.

use alloc::alloc::{alloc_zeroed, handle_alloc_error};
use core::alloc::Layout;
use core::ops::Range;
use core::ptr;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;

pub(crate) const PAGE: usize = 4096;
const LARGE_PAGE: usize = 2 << 20;

/// What is mapped.
pub(crate) const END: usize = 1 << 32;

/// Where devices are, whose memory is not cached.
const DEVICES: usize = 0xfe00_0000;

/// Bits of an entry (Intel SDM 3A, 5.5).
const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const NOT_CACHED: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const NOT_EXECUTABLE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

unsafe extern "C" {
    static mut boot_pd: [u64; END / LARGE_PAGE];
    static boot_stack_guard: [u8; PAGE];
    static __text_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __kernel_end: u8;
}

/// What a page may be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    None,
    /// Reading.
    Constant,
    /// Reading and writing.
    Data,
    /// Reading and execution.
    Code,
}

impl Access {
    fn bits(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Constant => PRESENT | NOT_EXECUTABLE,
            Self::Data => PRESENT | WRITABLE | NOT_EXECUTABLE,
            Self::Code => PRESENT,
        }
    }
}

/// The first address after the kernel's image.
pub(crate) fn kernel_end() -> usize {
    (&raw const __kernel_end).addr()
}

/// Gives the kernel's parts their permissions.
///
/// # Safety
/// Called once, with the heap there, and before any other function of this module.
pub(crate) unsafe fn init() {
    let directory = &raw mut boot_pd;
    for index in 0..END / LARGE_PAGE {
        let address = index * LARGE_PAGE;
        let cached = if address >= DEVICES { NOT_CACHED } else { 0 };
        let kernel = address < kernel_end();
        let access = if kernel {
            Access::Code.bits() | WRITABLE
        } else {
            Access::Data.bits()
        };
        // SAFETY: the table is the processor's, and nobody else's but this module's.
        unsafe { (*directory)[index] = address as u64 | LARGE | cached | access };
    }
    tlb::flush_all();
    let text = (&raw const __text_start).addr();
    let rodata = (&raw const __rodata_start).addr();
    let data = (&raw const __data_start).addr();
    let guard = (&raw const boot_stack_guard).addr();
    let rest = kernel_end().next_multiple_of(LARGE_PAGE);
    for (range, access) in [
        // A null pointer leads nowhere; what is above the first page, the loader has used.
        (0..PAGE, Access::None),
        (PAGE..text, Access::Data),
        (text..rodata, Access::Code),
        (rodata..data, Access::Constant),
        (data..rest, Access::Data),
        (guard..guard + PAGE, Access::None),
    ] {
        // SAFETY: each part is used so.
        unsafe { protect(range, access) };
    }
}

/// Changes what the pages of `range` may be used for. What is not whole pages below [`END`] is
/// a mistake, and panics.
///
/// # Safety
/// Nobody uses these pages otherwise as long as it is so.
pub(crate) unsafe fn protect(range: Range<usize>, access: Access) {
    let whole = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
    assert!(whole && range.end <= END, "{range:x?} are not whole pages");
    for page in range.step_by(PAGE) {
        let table = table(page / LARGE_PAGE);
        // SAFETY: the table is this module's, and has 512 entries.
        unsafe {
            let entry = table.add(page % LARGE_PAGE / PAGE);
            *entry = page as u64 | *entry & NOT_CACHED | access.bits();
        }
        tlb::flush(VirtAddr::new_truncate(page as u64));
    }
}

/// The table of the small pages of large page `index`, which is split if it was whole.
fn table(index: usize) -> *mut u64 {
    let directory = &raw mut boot_pd;
    // SAFETY: the directory is this module's alone, and there is one processor.
    let entry = unsafe { &mut (*directory)[index] };
    if *entry & LARGE == 0 {
        return ptr::with_exposed_provenance_mut((*entry & ADDRESS) as usize);
    }
    let Ok(layout) = Layout::from_size_align(PAGE, PAGE) else {
        unreachable!("a page's size is a power of two");
    };
    // SAFETY: the layout has a size.
    let table: *mut u64 = unsafe { alloc_zeroed(layout) }.cast();
    if table.is_null() {
        handle_alloc_error(layout);
    }
    for number in 0..LARGE_PAGE / PAGE {
        // SAFETY: the table has room for 512 entries.
        unsafe { *table.add(number) = (*entry & !LARGE) + (number * PAGE) as u64 };
    }
    // The permissions are those of the small pages.
    *entry = table.expose_provenance() as u64 | PRESENT | WRITABLE;
    tlb::flush_all();
    table
}
