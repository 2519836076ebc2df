//! What Rust and wasmtime ask of a platform.

use crate::exit::{self, Code};
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    // One that comes while the first one is told has nothing to add.
    if !PANICKED.swap(true, Ordering::Relaxed) {
        crate::say!("{info}");
    }
    exit::end(Code::Panic)
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
