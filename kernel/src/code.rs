//! Memory for the code and the stacks of programs, with permissions of its own.

use crate::paging::{self, Access, PAGE};
use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::ops::Range;
use wasmtime::{CustomCodeMemory, Result, StackCreator, StackMemory};

/// Code can be executed, and then not written to.
pub(crate) struct CodePages;

impl CustomCodeMemory for CodePages {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, code: *const u8, len: usize) -> Result<()> {
        // SAFETY: wasmtime has these pages to itself, and leaves them as they are from now on.
        unsafe { paging::protect(pages(code, len), Access::Code) };
        Ok(())
    }

    fn unpublish_executable(&self, code: *const u8, len: usize) -> Result<()> {
        // SAFETY: no code of these pages runs any more.
        unsafe { paging::protect(pages(code, len), Access::Data) };
        Ok(())
    }
}

fn pages(start: *const u8, len: usize) -> Range<usize> {
    let start = start.expose_provenance();
    start..start + len
}

/// Stacks that end in a page which is not there.
pub(crate) struct Stacks;

/// A page that is not there, and then the stack, which grows towards it.
struct Stack {
    memory: *mut u8,
    layout: Layout,
}

// SAFETY: the memory is this value's own, wherever it is.
unsafe impl Send for Stack {}
// SAFETY: by reference it gives addresses only.
unsafe impl Sync for Stack {}

// SAFETY: each stack is memory of its own, of at least the size that is asked for.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>> {
        let size = size
            .checked_next_multiple_of(PAGE)
            .and_then(|size| size.checked_add(PAGE));
        let layout = size.and_then(|size| Layout::from_size_align(size, PAGE).ok());
        let Some(layout) = layout else {
            return Err(wasmtime::Error::msg("a stack of this size can't be"));
        };
        let memory = match zeroed {
            // SAFETY: the layout has a size.
            true => unsafe { alloc_zeroed(layout) },
            // SAFETY: so it has here.
            false => unsafe { alloc(layout) },
        };
        if memory.is_null() {
            return Err(wasmtime::Error::msg("out of memory for a stack"));
        }
        // SAFETY: the page is this stack's, and nobody uses it.
        unsafe { paging::protect(pages(memory, PAGE), Access::None) };
        Ok(Box::new(Stack { memory, layout }))
    }
}

// SAFETY: the range is mapped as long as this value is there, above a page that is not.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.memory.wrapping_add(self.layout.size())
    }

    fn range(&self) -> Range<usize> {
        let all = pages(self.memory, self.layout.size());
        all.start + PAGE..all.end
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.memory..self.memory.wrapping_add(PAGE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the page and the memory are this stack's, which nobody uses any more.
        unsafe {
            paging::protect(pages(self.memory, PAGE), Access::Data);
            dealloc(self.memory, self.layout);
        }
    }
}
