//! What Rust and wasmtime ask of a platform, at its smallest.

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::pin::pin;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

const HEAP: usize = 16 << 20;

/// Cuts every block from one arena and takes none back.
struct Arena;

static mut BYTES: [u8; HEAP] = [0; HEAP];
static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: no two blocks overlap, since `USED` only grows, and each lies in the arena with the
// alignment that was asked for.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = layout.size().checked_add(layout.align()) else {
            return ptr::null_mut();
        };
        let start = USED.fetch_add(size, Ordering::Relaxed);
        match start.checked_add(size) {
            Some(end) if end <= HEAP => {
                let block = (&raw mut BYTES).cast::<u8>().wrapping_add(start);
                block.wrapping_add(block.align_offset(layout.align()))
            }
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    halt()
}

pub(crate) fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// wasmtime's two slots of thread-local storage, for the one thread there is.
static TLS: [AtomicPtr<u8>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(slot: usize) -> *mut u8 {
    TLS[slot].load(Ordering::Relaxed)
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(slot: usize, value: *mut u8) {
    TLS[slot].store(value, Ordering::Relaxed);
}

/// Polls until it is ready.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        core::hint::spin_loop();
    }
}
