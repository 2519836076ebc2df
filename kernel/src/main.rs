//! A small operating system: it boots with no other software, and its system interface is WASI.
//!
//! See the README for how it is started, what it expects, and what it ends with.

#![no_std]
#![no_main]
#![warn(unreachable_pub, clippy::undocumented_unsafe_blocks)]
extern crate alloc;

// The macro for messages comes first.
mod serial;

mod apic;
mod boot;
mod clock;
mod code;
mod disk;
mod entropy;
mod events;
mod executor;
mod exit;
mod heap;
mod interrupts;
mod net;
mod paging;
mod platform;
mod programs;
mod rtc;
mod serve;
mod stdio;
mod system;
mod timer;
mod virtio;
mod world;

use agave_kernel::pvh::{Physical, StartInfo};
use alloc::string::String;
use core::ptr;
use core::slice;
use exit::Code;

/// Memory as it is after boot: mapped up to 4 GiB.
struct Memory;

impl Physical for Memory {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(address).ok()?;
        if start == 0 || start.checked_add(len)? > paging::END {
            return None;
        }
        // SAFETY: it is mapped, and what is read is the loader's, which nobody writes to.
        Some(unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(start), len) })
    }
}

/// From here on in Rust: `start_info` is where the loader says what there is.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u32) -> ! {
    serial::init();
    // SAFETY: this is the beginning, and interrupts are off.
    unsafe { interrupts::init() };
    let system = match prepare(start_info.into()) {
        Ok(system) => system,
        Err(lacking) => {
            say!("error: {lacking}");
            exit::end(Code::Machine)
        }
    };
    let code = system.run();
    exit::end(code)
}

/// Brings up what programs need; the error says what the machine lacks.
fn prepare(start_info: u64) -> Result<system::System, &'static str> {
    let info = StartInfo::read(&Memory, start_info)
        .ok_or("the loader gave no start info: boot by PVH (QEMU's -kernel)")?;
    let kernel = 0..paging::kernel_end() as u64;
    let free = info
        .largest_free(kernel, paging::END as u64)
        .ok_or("there is no memory left")?;
    let page = paging::PAGE as u64;
    let free = free.start.next_multiple_of(page) as usize..(free.end - free.end % page) as usize;
    // SAFETY: it is RAM that neither the kernel nor the loader has, and mapped.
    unsafe { heap::init(free) };
    let command_line = String::from(info.command_line);
    let initrd = match info.initrd.clone() {
        None => &[][..],
        Some(range) => Memory
            .read(range.start, (range.end - range.start) as usize)
            .ok_or("the initrd is above 4 GiB")?,
    };
    // SAFETY: the heap is there, and nothing of the loader's is used any more but the initrd.
    unsafe { paging::init() };
    let random = entropy::seeded()
        .ok_or("the processor has no random numbers (RDRAND; QEMU's -cpu max has it)")?;
    apic::init();
    if !timer::init() {
        return Err("there is no PIT to measure time by");
    }
    serial::start();
    x86_64::instructions::interrupts::enable();
    Ok(system::System {
        clock: clock::Clock::new(),
        random,
        command_line,
        initrd,
    })
}
