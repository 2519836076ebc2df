//! Devices of the virtual machine (virtio 1.2): those on PCI, or else those in the slots that
//! QEMU's microvm has for them.

mod card;
mod hal;
mod interrupt;
mod mmio;
mod pci;
mod plain;

pub(crate) use card::Card;
pub(crate) use hal::Memory;
pub(crate) use interrupt::interrupted;
pub(crate) use plain::Plain;

use crate::say;
use alloc::format;
use alloc::string::String;
use core::ptr;
use virtio_drivers::transport::{DeviceType, Transport};

/// What there is for the kernel: the first device of each kind.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) network: Option<Device>,
    pub(crate) block: Option<Device>,
}

/// A device that nobody uses yet.
pub(crate) struct Device {
    pub(crate) transport: Plain,
    pub(crate) registers: Registers,
    pin: crate::apic::Pin,
}

/// Where a device's registers are that interrupts are about.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    /// Why it interrupts.
    status: Status,
    /// The part that is of its kind.
    config: usize,
}

#[derive(Clone, Copy)]
enum Status {
    /// A byte, which reading clears (virtio 1.2, 4.1.4.5).
    Pci(usize),
    /// A word, and the one to write back what was seen (4.2.2).
    Mmio { seen: usize, acknowledge: usize },
}

impl Device {
    /// Has its interrupts set `used` when it is done with something and `changed` when its
    /// configuration changed.
    pub(crate) fn listen(&self, used: u32, changed: u32) {
        interrupt::add(self.registers.status, used, changed);
        crate::apic::route_level(self.pin, crate::interrupts::VIRTIO);
    }
}

impl Registers {
    /// Whether a network card's link is up (5.1.4): one that does not say has one.
    pub(crate) fn link_is_up(self) -> bool {
        // SAFETY: a network card's configuration has its status there, and reading it changes
        // nothing.
        let status = unsafe { ptr::read_volatile((self.config + 6) as *const u16) };
        status & 1 != 0
    }
}

impl Devices {
    /// Finds the devices. What can't be used is told, and left out.
    pub(crate) fn find() -> Self {
        let mut devices = Self::default();
        let mut found = |device: Result<Device, String>| match device {
            Ok(device) => devices.take(device),
            Err(reason) => say!("a virtio device is left out: {reason}"),
        };
        match pci::is_there() {
            true => pci::find(&mut found),
            false => mmio::find(&mut found),
        }
        devices
    }

    fn take(&mut self, device: Device) {
        let kind = device.transport.device_type();
        let slot = match kind {
            DeviceType::Network => &mut self.network,
            DeviceType::Block => &mut self.block,
            _ => return,
        };
        match slot {
            None => *slot = Some(device),
            Some(_) => say!("a virtio device is left out: there is another {kind:?}"),
        }
    }
}

fn failed(error: impl core::fmt::Display) -> String {
    format!("{error}")
}
