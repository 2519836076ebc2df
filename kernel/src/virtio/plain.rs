//! A transport without two features of its queues that cost more than they give here, and with
//! short ways to two things that are done for each frame.

use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use virtio_drivers::transport::{
    DeviceStatus, DeviceType, InterruptStatus, SomeTransport, Transport,
};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `VIRTIO_F_INDIRECT_DESC`: requests of several parts would each allocate a list of them.
const INDIRECT: u64 = 1 << 28;
/// `VIRTIO_F_EVENT_IDX`: the driver's numbers are not compared modulo 2^16, so a notification can
/// be left out where they wrap around.
const EVENT_INDEX: u64 = 1 << 29;

/// The first queues, of which a short way is known.
const QUEUES: usize = 2;

/// Of a queue's driver area (virtio 1.2, 2.7.6): no interrupts.
const NO_INTERRUPT: u16 = 1;

/// The transport of a device.
pub(crate) struct Plain {
    transport: SomeTransport<'static>,
    doorbells: Option<Doorbells>,
    /// Where each queue's is; 0 where that is not known.
    known: [usize; QUEUES],
    areas: Areas,
}

/// Where a device on PCI is told that a queue has something: the driver looks that up for each
/// time (virtio 1.2, 4.1.4.4).
#[derive(Clone, Copy)]
pub(super) struct Doorbells {
    /// The register that has the selected queue's number in the region.
    pub(super) offset: usize,
    pub(super) region: usize,
    pub(super) len: usize,
    pub(super) multiplier: usize,
}

/// Where the driver's part of each queue is, once the driver has set it up.
#[derive(Clone, Default)]
pub(super) struct Areas(Arc<[AtomicUsize; QUEUES]>);

impl Areas {
    /// Whether the device interrupts for what it has used of `queue`.
    pub(super) fn set_interrupts(&self, queue: usize, wanted: bool) {
        let area = self.0.get(queue).map_or(0, |it| it.load(Ordering::Relaxed));
        if area != 0 {
            let flags = if wanted { 0 } else { NO_INTERRUPT };
            // SAFETY: the area begins with the flags, lives as long as the queue, whose owner
            // has this, and the driver writes them in functions that nobody calls.
            let place = unsafe { AtomicU16::from_ptr(ptr::with_exposed_provenance_mut(area)) };
            // Before what is looked at next.
            place.swap(flags, Ordering::SeqCst);
        }
    }
}

impl Plain {
    pub(super) fn new(transport: SomeTransport<'static>, doorbells: Option<Doorbells>) -> Self {
        Self {
            transport,
            doorbells,
            known: [0; QUEUES],
            areas: Areas::default(),
        }
    }

    pub(super) fn areas(&self) -> Areas {
        self.areas.clone()
    }

    /// The doorbell of the queue that is selected.
    fn doorbell(&self) -> Option<usize> {
        let doorbells = self.doorbells?;
        // SAFETY: it is a register of the device's, and reading it changes nothing.
        let offset = unsafe { ptr::read_volatile(doorbells.offset as *const u16) };
        let at = usize::from(offset) * doorbells.multiplier;
        (at + size_of::<u16>() <= doorbells.len).then_some(doorbells.region + at)
    }
}

impl Transport for Plain {
    fn read_device_features(&mut self) -> u64 {
        self.transport.read_device_features() & !(INDIRECT | EVENT_INDEX)
    }

    fn device_type(&self) -> DeviceType {
        self.transport.device_type()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.transport.write_driver_features(features);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.transport.max_queue_size(queue)
    }

    fn notify(&mut self, queue: u16) {
        match self.known.get(usize::from(queue)) {
            None | Some(0) => self.transport.notify(queue),
            // SAFETY: it is the queue's doorbell, which wants its number.
            Some(doorbell) => unsafe { ptr::write_volatile(*doorbell as *mut u16, queue) },
        }
    }

    fn get_status(&self) -> DeviceStatus {
        self.transport.get_status()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.transport.set_status(status);
    }

    fn set_guest_page_size(&mut self, size: u32) {
        self.transport.set_guest_page_size(size);
    }

    fn requires_legacy_layout(&self) -> bool {
        self.transport.requires_legacy_layout()
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.transport
            .queue_set(queue, size, descriptors, driver_area, device_area);
        // That has selected the queue.
        let doorbell = self.doorbell().unwrap_or(0);
        let index = usize::from(queue);
        if let (Some(known), Some(area)) = (self.known.get_mut(index), self.areas.0.get(index)) {
            *known = doorbell;
            area.store(driver_area as usize, Ordering::Relaxed);
        }
    }

    fn queue_unset(&mut self, queue: u16) {
        self.transport.queue_unset(queue);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.transport.queue_used(queue)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        self.transport.ack_interrupt()
    }

    fn read_config_generation(&self) -> u32 {
        self.transport.read_config_generation()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.transport.read_config_space(offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        self.transport.write_config_space(offset, value)
    }
}
