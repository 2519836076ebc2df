//! The interrupt controllers: the processor's own and the one of its devices.

use crate::interrupts::{IRQ, SPURIOUS, TIMER};
use core::ptr;
use x86_64::instructions::port::Port;

const LOCAL: usize = 0xfee0_0000;
const IO: usize = 0xfec0_0000;

/// Registers of the local APIC (Intel SDM 3A, 13.4.1).
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const LVT_TIMER: usize = 0x320;
const LVT_LINT0: usize = 0x350;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;

const ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DIVIDE_BY_1: u32 = 0b1011;

fn read(register: usize) -> u32 {
    // SAFETY: the local APIC's registers are mapped, and reading these changes nothing.
    unsafe { ptr::read_volatile((LOCAL + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: the local APIC's registers are mapped. What is written has interrupts come or not,
    // for which there are handlers.
    unsafe { ptr::write_volatile((LOCAL + register) as *mut u32, value) }
}

/// Routes interrupts to the vectors of [`crate::interrupts`], and none from the old controllers.
pub(crate) fn init() {
    for port in [0x21, 0xa1] {
        // SAFETY: the mask registers of the two 8259s, or nobody.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
    write(SPURIOUS_VECTOR, ENABLED | u32::from(SPURIOUS));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(LVT_TIMER, u32::from(TIMER));
    write(DIVIDE, DIVIDE_BY_1);
}

/// Has the device interrupt `irq` come as vector [`IRQ`]` + irq`, at its rising edge.
pub(crate) fn route(irq: u8) {
    let entry = 0x10 + 2 * u32::from(irq);
    let local = read(ID) & 0xff00_0000;
    for (index, value) in [(entry + 1, local), (entry, u32::from(IRQ + irq))] {
        // SAFETY: the I/O APIC's registers are mapped; the vector has a handler.
        unsafe {
            ptr::write_volatile(IO as *mut u32, index);
            ptr::write_volatile((IO + 0x10) as *mut u32, value);
        }
    }
}

/// Lets the next interrupt come.
pub(crate) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// One timer interrupt once it has counted to 0; 0 for none.
pub(crate) fn start_timer(count: u32) {
    write(INITIAL_COUNT, count);
}

/// What the timer has left to count.
pub(crate) fn timer_left() -> u32 {
    read(CURRENT_COUNT)
}
