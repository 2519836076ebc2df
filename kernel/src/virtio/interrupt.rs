//! Interrupts of virtio devices: all of them come as one vector, and each device says whether it
//! was the one.

use super::Status;
use crate::events;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The most devices that interrupt.
const SOURCES: usize = 4;

/// Bits of the interrupt status (virtio 1.2, 4.1.4.5 and 4.2.2).
const USED: u32 = 1;
const CHANGED: u32 = 2;

/// A device that interrupts; fields are 0 where there is none.
struct Source {
    status: AtomicUsize,
    /// 0 where reading the status is all.
    acknowledge: AtomicUsize,
    used: AtomicU32,
    changed: AtomicU32,
}

static ALL: [Source; SOURCES] = [const {
    Source {
        status: AtomicUsize::new(0),
        acknowledge: AtomicUsize::new(0),
        used: AtomicU32::new(0),
        changed: AtomicU32::new(0),
    }
}; SOURCES];

/// From now on interrupts of the device with this `status` set the events.
pub(super) fn add(status: Status, used: u32, changed: u32) {
    let free = |source: &&Source| source.status.load(Ordering::Relaxed) == 0;
    let Some(source) = ALL.iter().find(free) else {
        unreachable!("there is one device of a kind")
    };
    let (status, acknowledge) = match status {
        Status::Pci(status) => (status, 0),
        Status::Mmio { seen, acknowledge } => (seen, acknowledge),
    };
    source.acknowledge.store(acknowledge, Ordering::Relaxed);
    source.used.store(used, Ordering::Relaxed);
    source.changed.store(changed, Ordering::Relaxed);
    source.status.store(status, Ordering::Release);
}

/// The interrupt itself.
pub(crate) fn interrupted() {
    for source in &ALL {
        let status = source.status.load(Ordering::Acquire);
        if status == 0 {
            break;
        }
        let acknowledge = source.acknowledge.load(Ordering::Relaxed);
        // SAFETY: these are the device's registers, as `add` was told, and this is their only
        // user.
        let seen = unsafe {
            match acknowledge {
                0 => u32::from(ptr::read_volatile(status as *const u8)),
                acknowledge => {
                    let seen = ptr::read_volatile(status as *const u32);
                    if seen != 0 {
                        ptr::write_volatile(acknowledge as *mut u32, seen);
                    }
                    seen
                }
            }
        };
        for (bit, event) in [(USED, &source.used), (CHANGED, &source.changed)] {
            if seen & bit != 0 {
                events::set(event.load(Ordering::Relaxed));
            }
        }
    }
}
