//! What a machine's disk is to a volume.

use crate::cache::Cache;
use hadris_io::{Error, ErrorKind, ErrorType};
use hadris_storage::sync::BlockDevice;
use hadris_storage::{BlockIndex, BlockSize};

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// The most bytes that one request to a [`Disk`] has.
pub const REQUEST_MAX: usize = 128 * SECTOR;

/// A disk of sectors of [`SECTOR`] bytes.
///
/// Each call ends when its request has: who implements this sends it to the device and waits, by
/// `hlt` until the interrupt, say. All of the volume waits with it, so a call must neither run
/// guests nor use the volume meanwhile.
///
/// The buffers are a whole number of sectors, from one to [`REQUEST_MAX`] bytes, and all of them
/// are within the disk.
pub trait Disk: Send + 'static {
    /// How many sectors it has. This never changes.
    fn sectors(&self) -> u64;

    /// Whether it can't be written. This never changes. The default is `false`.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Reads the sectors from `first` on.
    ///
    /// # Errors
    /// - [`DiskError::Failed`]: not all of them could be read; `buf` may hold anything.
    fn read(&mut self, first: u64, buf: &mut [u8]) -> Result<(), DiskError>;

    /// Writes the sectors from `first` on. What a later read gives is what was written, also
    /// before [`Disk::flush`].
    ///
    /// # Errors
    /// - [`DiskError::Failed`]: not all of them could be written. Each has its old or its new
    ///   contents.
    /// - [`DiskError::ReadOnly`]: the device accepts no writes; nothing was written.
    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Waits until everything that was written is on the medium and outlasts a power cut.
    ///
    /// # Errors
    /// - [`DiskError::Failed`]: it may not be.
    fn flush(&mut self) -> Result<(), DiskError>;
}

/// Why a request to a [`Disk`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The device could not do it, and says no more.
    #[error("the disk failed")]
    Failed,
    /// The device accepts no writes.
    #[error("the disk is read-only")]
    ReadOnly,
}

/// A disk as the library wants it.
pub(crate) struct Sectors(pub(crate) Cache);

impl Sectors {
    /// The number of the first sector, where `length` bytes from it on are whole sectors of the
    /// disk.
    fn check(&self, first: BlockIndex, length: usize) -> Result<u64, Error<DiskError>> {
        let count = (length / SECTOR) as u64;
        let end = first.get().checked_add(count);
        match length.is_multiple_of(SECTOR) && end.is_some_and(|end| end <= self.0.sectors()) {
            true => Ok(first.get()),
            false => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl ErrorType for Sectors {
    type Error = DiskError;
}

impl BlockDevice for Sectors {
    fn block_size(&self) -> BlockSize {
        const { BlockSize::new(SECTOR as u32).expect("more than 0") }
    }

    fn block_count(&self) -> u64 {
        self.0.sectors()
    }

    fn writable(&self) -> bool {
        !self.0.is_read_only()
    }

    fn read_blocks(&mut self, first: BlockIndex, buf: &mut [u8]) -> Result<(), Error<DiskError>> {
        let first = self.check(first, buf.len())?;
        self.0.read(first, buf).map_err(failed)
    }

    fn write_blocks(&mut self, first: BlockIndex, bytes: &[u8]) -> Result<(), Error<DiskError>> {
        let first = self.check(first, bytes.len())?;
        self.0.write(first, bytes).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), Error<DiskError>> {
        self.0.disk().flush().map_err(failed)
    }
}

fn failed(error: DiskError) -> Error<DiskError> {
    let kind = match error {
        DiskError::Failed => ErrorKind::Io,
        DiskError::ReadOnly => ErrorKind::ReadOnly,
    };
    Error::device(error, "a request to the disk failed").with_kind(kind)
}
