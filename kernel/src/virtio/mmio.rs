//! The slots of QEMU's microvm, at addresses that are always the same.

use super::{Device, Plain, Registers, Status, failed};
use crate::apic;
use alloc::string::String;
use core::ptr::{self, NonNull};
use virtio_drivers::transport::SomeTransport;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};

const SLOTS: usize = 0xfeb0_0000;
const SLOT: usize = 512;

/// Registers of a slot (virtio 1.2, 4.2.2).
const MAGIC: usize = 0;
const DEVICE: usize = 8;
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const CONFIG: usize = 0x100;

/// What [`MAGIC`] has: "virt".
const VIRT: u32 = 0x7472_6976;

/// Tells `found` of each device.
pub(super) fn find(found: &mut dyn FnMut(Result<Device, String>)) {
    let pins = apic::slot_pins();
    for (index, pin) in pins.enumerate() {
        let slot = SLOTS + index * SLOT;
        let read = |register| {
            // SAFETY: no memory is there, so these are registers, or nothing; neither minds.
            unsafe { ptr::read_volatile((slot + register) as *const u32) }
        };
        // A device of kind 0 is a slot without one.
        if read(MAGIC) != VIRT || read(DEVICE) == 0 {
            continue;
        }
        let Some(header) = NonNull::new(slot as *mut VirtIOHeader) else {
            continue;
        };
        // SAFETY: the slot is one, and this is its only user but for the interrupt's registers.
        let transport = unsafe { MmioTransport::new(header, SLOT) };
        found(transport.map_err(failed).map(|transport| Device {
            transport: Plain::new(SomeTransport::Mmio(transport), None),
            registers: Registers {
                status: Status::Mmio {
                    seen: slot + INTERRUPT_STATUS,
                    acknowledge: slot + INTERRUPT_ACKNOWLEDGE,
                },
                config: slot + CONFIG,
            },
            pin,
        }));
    }
}
