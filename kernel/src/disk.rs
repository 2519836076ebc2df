//! The disk, and the volume on it.

use crate::clock::Clock;
use crate::virtio::{Device, Memory, Plain};
use crate::{events, say};
use agave_volume::{Disk, DiskError, FatVolume, MountError, SECTOR};
use alloc::sync::Arc;
use virtio_drivers::device::blk::{BlkReq, BlkResp, VirtIOBlk};
use x86_64::instructions::interrupts;

/// Why the disk can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("the disk can't be set up: {0}")]
    Device(virtio_drivers::Error),
    #[error("the disk can't be mounted: {0}")]
    Mount(#[from] MountError),
}

/// Mounts the volume on `device`.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn mount(device: Device, clock: &Clock) -> Result<Arc<FatVolume>, VolumeError> {
    // Its interrupts have nobody to wake: who waits for it sleeps until one comes.
    device.listen(events::NOTHING, events::NOTHING);
    let block = VirtIOBlk::new(device.transport).map_err(VolumeError::Device)?;
    let volume = FatVolume::mount(Drive(block), Arc::new(clock.clone()))?;
    if volume.was_in_use() {
        say!("the disk was in use when its machine stopped: fsck.fat gives back lost room");
    }
    Ok(Arc::new(volume))
}

/// The disk. A request is waited for where it is made, with the processor asleep.
struct Drive(VirtIOBlk<Memory, Plain>);

impl Drive {
    /// Waits for the request at `place`, the only one that is under way.
    fn wait(&mut self, place: u16) {
        loop {
            interrupts::disable();
            match self.0.peek_used() {
                // One that comes in between is not lost: it ends the sleep.
                None => interrupts::enable_and_hlt(),
                used => {
                    interrupts::enable();
                    // It has the request's buffers until it says so: there is no other way on.
                    assert_eq!(used, Some(place), "the disk answers what nobody asked");
                    return;
                }
            }
        }
    }

    fn check(&self, first: u64, len: usize) -> Result<usize, DiskError> {
        let end = first.checked_add((len / SECTOR) as u64);
        match len > 0 && len.is_multiple_of(SECTOR) && end.is_some_and(|end| end <= self.sectors())
        {
            true => Ok(first as usize),
            false => Err(DiskError::Failed),
        }
    }
}

fn failed(_: virtio_drivers::Error) -> DiskError {
    DiskError::Failed
}

impl Disk for Drive {
    fn sectors(&self) -> u64 {
        self.0.capacity()
    }

    fn is_read_only(&self) -> bool {
        self.0.readonly()
    }

    fn read(&mut self, first: u64, buf: &mut [u8]) -> Result<(), DiskError> {
        let first = self.check(first, buf.len())?;
        let (mut request, mut response) = (BlkReq::default(), BlkResp::default());
        // SAFETY: all three are here, and nobody uses them, until the device is done with them:
        // there is no way out of `wait` before that.
        let place = unsafe {
            self.0
                .read_blocks_nb(first, &mut request, buf, &mut response)
        };
        let place = place.map_err(failed)?;
        self.wait(place);
        // SAFETY: they are the same.
        let done = unsafe {
            self.0
                .complete_read_blocks(place, &request, buf, &mut response)
        };
        done.map_err(failed)
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        if self.is_read_only() {
            return Err(DiskError::ReadOnly);
        }
        let first = self.check(first, bytes.len())?;
        let (mut request, mut response) = (BlkReq::default(), BlkResp::default());
        // SAFETY: as in `read`.
        let place = unsafe {
            self.0
                .write_blocks_nb(first, &mut request, bytes, &mut response)
        };
        let place = place.map_err(failed)?;
        self.wait(place);
        // SAFETY: they are the same.
        let done = unsafe {
            self.0
                .complete_write_blocks(place, &request, bytes, &mut response)
        };
        done.map_err(failed)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.0.flush().map_err(failed)
    }
}
