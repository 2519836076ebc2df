//! The interrupt controllers: the processor's own and the one of its devices.

use crate::interrupts::{IRQ, SPURIOUS, TIMER};
use core::ptr;
use x86_64::instructions::port::Port;

const LOCAL: usize = 0xfee0_0000;
const IO: usize = 0xfec0_0000;
/// microvm's second I/O APIC, whose inputs are its slots'.
const SECOND_IO: usize = 0xfec1_0000;

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

/// Registers of an I/O APIC, by the number that is written to its first word, and where they
/// then are (82093AA, 3.1).
const VERSION: u32 = 1;
const REDIRECTIONS: u32 = 0x10;
const IO_DATA: usize = 0x10;

const LEVEL: u32 = 1 << 15;
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

/// An input of an I/O APIC.
#[derive(Clone, Copy)]
pub(crate) struct Pin {
    controller: usize,
    number: u8,
}

/// Has the device interrupt `irq` come as vector [`IRQ`]` + irq`, at its rising edge.
pub(crate) fn route(irq: u8) {
    let pin = Pin {
        controller: IO,
        number: irq,
    };
    route_as(pin, u32::from(IRQ + irq));
}

/// Has the interrupt at `pin` come as `vector`, for as long as the device wants it.
pub(crate) fn route_level(pin: Pin, vector: u8) {
    route_as(pin, u32::from(vector) | LEVEL);
}

fn route_as(pin: Pin, entry: u32) {
    let index = REDIRECTIONS + 2 * u32::from(pin.number);
    let local = read(ID) & 0xff00_0000;
    for (index, value) in [(index + 1, local), (index, entry)] {
        // SAFETY: the I/O APIC's registers are mapped; the vector has a handler.
        unsafe {
            ptr::write_volatile(pin.controller as *mut u32, index);
            ptr::write_volatile((pin.controller + IO_DATA) as *mut u32, value);
        }
    }
}

/// Where interrupt pin `pin`, 1 to 4, of a device on the first bus of PCI arrives, as QEMU's q35
/// has it: at the last four inputs of one of 24, in turn.
pub(crate) fn pci_pin(device: u8, pin: u8) -> Option<Pin> {
    let number = match pin {
        1..=4 => 20 + (device % 4 + pin - 1) % 4,
        _ => return None,
    };
    Some(Pin {
        controller: IO,
        number,
    })
}

/// Where the slots of QEMU's microvm interrupt, one after another: at a controller of their own,
/// or at some inputs of the first (without ACPI).
pub(crate) fn slot_pins() -> impl Iterator<Item = Pin> {
    // SAFETY: no memory is there, so it is the controller's registers, or nobody's.
    let version = unsafe {
        ptr::write_volatile(SECOND_IO as *mut u32, VERSION);
        ptr::read_volatile((SECOND_IO + IO_DATA) as *const u32)
    };
    let (controller, numbers) = match version {
        0 | u32::MAX => (IO, 5..13),
        _ => (SECOND_IO, 0..24),
    };
    numbers.map(move |number| Pin { controller, number })
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
