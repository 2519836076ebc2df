//! Routes that leave something in linear memory, and look for what was left there.

use crate::bindings::wasi::http::types::ResponseOutparam;
use crate::request::Request;
use crate::response::text;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// The secret's words, computed so that no copy of them is in the component.
fn secret() -> [u64; 2] {
    let mask = black_box(0x5bd1_e995_9e37_79b9u64);
    [
        mask.wrapping_mul(0xff51_afd7_ed55_8ccd),
        mask.wrapping_mul(0xc4ce_b9fe_1a85_ec53),
    ]
}

/// Takes `mib` MiB of memory and writes to all of it.
pub fn grow(request: &Request, out: ResponseOutparam) {
    let bytes = (request.number("mib", 64) << 20) as usize;
    let mut heap = Vec::<u8>::new();
    match heap.try_reserve_exact(bytes) {
        Ok(()) => {
            heap.resize(bytes, 1);
            text(out, 200, &format!("grew {}\n", black_box(heap).len()));
        }
        Err(_) => text(out, 200, "grow refused\n"),
    }
}

/// Says how many requests this instance has had, and leaves a MiB of secrets behind.
pub fn fill(out: ResponseOutparam) {
    let count = REQUESTS.fetch_add(1, Ordering::Relaxed);
    leave_secrets();
    text(out, 200, &format!("counter {count}\n"));
}

fn leave_secrets() {
    let secret = secret();
    let heap: Vec<u64> = (0..128 * 1024).map(|at| secret[at % 2]).collect();
    black_box(heap.leak());
}

/// Looks for a secret in all of the memory, fresh pages included; with `fill`, leaves some
/// itself first, so that it must find them.
pub fn scan(request: &Request, out: ResponseOutparam) {
    let count = REQUESTS.load(Ordering::Relaxed);
    if request.param("fill").is_some() {
        leave_secrets();
    }
    black_box(Vec::<u8>::with_capacity(4 << 20).leak());
    let [first, second] = secret();
    let end = core::arch::wasm32::memory_size(0) * 64 * 1024;
    let word = |at: usize| {
        // SAFETY: `at` and the seven bytes after it are inside of the linear memory, all
        // of which is readable.
        unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_volatile() }
    };
    let leaked = (8..end - 8)
        .step_by(8)
        .find(|&at| word(at) == first && word(at + 8) == second);
    match leaked {
        None if count == 0 => text(out, 200, "clean\n"),
        None => text(out, 200, &format!("leaked counter {count}\n")),
        Some(at) => text(out, 200, &format!("leaked at {at:#x}\n")),
    }
}
