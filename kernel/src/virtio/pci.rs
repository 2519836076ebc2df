//! Devices on the first bus of PCI, which the firmware gave addresses.

use super::plain::Doorbells;
use super::{Device, Memory, Plain, Registers, Status, failed};
use crate::{apic, paging};
use alloc::format;
use alloc::string::String;
use virtio_drivers::transport::SomeTransport;
use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, PCI_CAP_ID_VNDR, PciRoot,
};
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG,
    VIRTIO_PCI_CAP_NOTIFY_CFG, virtio_device_type,
};
use x86_64::instructions::port::Port;

/// The ports of the configuration space.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// The register with the interrupt's pin in its second byte: 1 to 4, or 0 for none.
const INTERRUPT: u8 = 0x3c;

/// Fields of a capability of virtio's (virtio 1.2, 4.1.4).
const BAR: u8 = 4;
const OFFSET: u8 = 8;
const LENGTH: u8 = 12;
const MULTIPLIER: u8 = 16;

/// The field of the common configuration with the selected queue's doorbell (4.1.4.3).
const QUEUE_NOTIFY_OFF: usize = 0x1e;

/// What is read where there is no device.
const NOBODY: u32 = u32::MAX;

/// The configuration space.
struct Ports;

fn select(device: DeviceFunction, register: u8) -> Port<u32> {
    let DeviceFunction {
        bus,
        device,
        function,
    } = device;
    let place = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
    let address = 1 << 31 | place | u32::from(register & !3);
    // SAFETY: the port says which register the other one is, or is nobody's.
    unsafe { Port::new(ADDRESS).write(address) };
    Port::new(DATA)
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, device: DeviceFunction, register: u8) -> u32 {
        // SAFETY: reading configuration changes nothing.
        unsafe { select(device, register).read() }
    }

    fn write_word(&mut self, device: DeviceFunction, register: u8, data: u32) {
        // SAFETY: what is written is the drivers' of this module, of devices that are theirs.
        unsafe { select(device, register).write(data) };
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// Whether there is PCI at all.
pub(super) fn is_there() -> bool {
    let host = DeviceFunction {
        bus: 0,
        device: 0,
        function: 0,
    };
    Ports.read_word(host, 0) != NOBODY
}

/// Tells `found` of each device.
pub(super) fn find(found: &mut dyn FnMut(Result<Device, String>)) {
    for (place, info) in PciRoot::new(Ports).enumerate_bus(0) {
        if virtio_device_type(&info).is_some() {
            found(device(place));
        }
    }
}

fn device(place: DeviceFunction) -> Result<Device, String> {
    let mut root = PciRoot::new(Ports);
    let bars = root.bars(place).map_err(failed)?;
    let memory = bars
        .iter()
        .flatten()
        .filter_map(|bar| bar.memory_address_size());
    for (address, size) in memory {
        let end = address.checked_add(size);
        if end.is_none_or(|end| end > paging::END as u64) {
            return Err(format!("its registers at {address:#x} are not below 4 GiB"));
        }
    }
    let wanted = Command::MEMORY_SPACE | Command::BUS_MASTER;
    let command = (root.get_status_command(place).1 | wanted) & !Command::INTERRUPT_DISABLE;
    root.set_command(place, command);

    // Where a structure is, how long, and where its capability is.
    let region = |kind| {
        let mut capabilities = root.capabilities(place).filter(|capability| {
            capability.id == PCI_CAP_ID_VNDR && capability.private_header >> 8 == u16::from(kind)
        });
        let at = capabilities.next()?.offset;
        let bar = usize::from(Ports.read_word(place, at + BAR) as u8);
        let (address, _) = bars.get(bar)?.as_ref()?.memory_address_size()?;
        let offset = Ports.read_word(place, at + OFFSET);
        let len = Ports.read_word(place, at + LENGTH);
        Some((address as usize + offset as usize, len as usize, at))
    };
    let missing = || String::from("it has no registers of virtio 1");
    let registers = Registers {
        status: Status::Pci(region(VIRTIO_PCI_CAP_ISR_CFG).ok_or_else(missing)?.0),
        config: region(VIRTIO_PCI_CAP_DEVICE_CFG).ok_or_else(missing)?.0,
    };
    let (common, ..) = region(VIRTIO_PCI_CAP_COMMON_CFG).ok_or_else(missing)?;
    let (start, len, at) = region(VIRTIO_PCI_CAP_NOTIFY_CFG).ok_or_else(missing)?;
    let doorbells = Doorbells {
        offset: common + QUEUE_NOTIFY_OFF,
        region: start,
        len,
        multiplier: Ports.read_word(place, at + MULTIPLIER) as usize,
    };
    let pin = (Ports.read_word(place, INTERRUPT) >> 8) as u8;
    let pin = apic::pci_pin(place.device, pin).ok_or("it has no interrupt")?;
    let transport = PciTransport::new::<Memory, _>(&mut root, place).map_err(failed)?;
    Ok(Device {
        transport: Plain::new(SomeTransport::Pci(transport), Some(doorbells)),
        registers,
        pin,
    })
}
