use crate::cache::Cache;
use crate::disk::{Disk, DiskError, Sectors};
use crate::node::Node;
use crate::repair;
use crate::state::State;
use crate::time::Stamps;
use alloc::boxed::Box;
use alloc::sync::Arc;
use hadris_fat::sync::FatFs;
use hadris_fat::{CacheOptions, FatKind};
use hadris_fs::{ErrorKind, MountOptions};
use wasi_clocks::WallClock;
use wasi_filesystem::Result;
use wasi_io::sync::Mutex;

/// Places in files whose clusters are remembered, so that a read far in is not a walk from the
/// first cluster on.
const POSITIONS_KEPT: usize = 256;

/// A FAT12, FAT16 or FAT32 filesystem, for any number of guests at once.
/// [`vfs::directory`](wasi_filesystem::vfs::directory) gives its topmost directory.
///
/// **What is on the disk when.** Contents, names and the allocation of room are written at once,
/// through to the [`Disk`]; what is kept in memory, up to 256 KiB, is for reading. The size and
/// time of a file that grew are written when it is synced or nobody has it open any more: a machine
/// that stops before finds it with its size before. [`FatVolume::flush`] makes everything durable;
/// dropping the volume, and all that is open of it, tries to.
///
/// **When the machine stops**, as long as the disk did what it was told to in this order, nothing is
/// damaged that was there before. What can be left is room that nobody uses, and no file at a
/// name that a rename was replacing. An object under both names of a rename is two files with the
/// same contents after the next mount, which looks at up to 65,536 objects for that where the
/// volume [was in use](FatVolume::was_in_use). A disk that reorders what was not flushed, when its
/// own power is cut, can leave more for `fsck.fat` to repair.
///
/// **What waits.** Every operation is done when it returns, and its requests to the disk have
/// been waited for by then. One that extends a file by a lot writes all of its zeros first: FAT
/// has no holes.
///
/// **What FAT is not.**
/// - There are no links: [`ErrorCode::Unsupported`](wasi_filesystem::ErrorCode::Unsupported).
/// - Names differ in more than case (by Unicode's simple mapping), keep the case that they were
///   made with, and have up to 255 UTF-16 units. A control character, one of `"*/:<>?\|`, or a `.`
///   or blank at the end is [`ErrorCode::Invalid`](wasi_filesystem::ErrorCode::Invalid) in a new
///   name. An object is also found by its short name, such as `LONGNA~1.TXT`.
/// - Modification times have steps of 2 seconds, access times of a day, from 1980 to 2107 (others
///   become the first or last of these), and are UTC. There is no time of the last change of
///   status, and the topmost directory has no times at all.
/// - A file has up to 2^32 - 1 bytes.
/// - The number of an object is where its name is on the disk: it stays while it is in use, and
///   may be another one after it was moved and is nowhere open.
/// - The read-only attribute of a file refuses opening it for writing
///   ([`ErrorCode::Access`](wasi_filesystem::ErrorCode::Access)); others are ignored.
///
/// **A file without a name** lives on while it is open: FAT knows no such thing, so it is moved to
/// a directory `agave.del` at the top, which no guest sees and whose name none can use. It goes
/// with its last file; what a power cut left in it is removed by the next mount.
///
/// ```no_run
/// # use std::sync::Arc;
/// # fn f(disk: impl agave_volume::Disk, clock: Arc<dyn wasi_clocks::WallClock>)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use agave_volume::FatVolume;
///
/// let volume = Arc::new(FatVolume::mount(disk, clock)?);
/// let preopen = wasi_filesystem::vfs::directory(volume.clone());
/// // … guests run …
/// volume.flush()?;
/// # drop(preopen);
/// # Ok(())
/// # }
/// ```
pub struct FatVolume {
    pub(crate) shared: Arc<Shared>,
    pub(crate) root: Arc<Node>,
}

/// What a volume and everything that is in use of it share.
pub(crate) struct Shared {
    /// Held while the disk is waited for: that runs no other code of the volume's.
    pub(crate) state: Mutex<State>,
    pub(crate) device: u64,
    pub(crate) read_only: bool,
}

/// Why a disk can't be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// There is something else on the disk, or nothing.
    #[error(
        "no FAT filesystem begins at the first sector of the disk: make one on the whole disk, \
         without a partition table (mkfs.fat IMAGE)"
    )]
    NotFat,
    /// It says of itself what can't be, such as more sectors than the disk has.
    #[error("the FAT filesystem is damaged ({0}): repair it with fsck.fat, or make a new one")]
    Damaged(&'static str),
    /// The disk failed.
    #[error("the disk can't be read: {0}")]
    Disk(DiskError),
}

impl FatVolume {
    /// Mounts the filesystem that begins at the first sector of `disk`. Times are those of
    /// `clock`, which lives on for ever, 16 bytes for each mount.
    ///
    /// # Errors
    /// As [`MountError`] says; the disk is dropped. A disk that can be written may have been.
    pub fn mount(disk: impl Disk, clock: Arc<dyn WallClock>) -> Result<Self, MountError> {
        let options = MountOptions::new().with_clock(Box::leak(Box::new(Stamps(clock.clone()))));
        let mount = |disk: Sectors| {
            let fs = FatFs::mount(disk, options.clone()).map_err(|error| {
                let error = error.into_error();
                match (error.kind(), error.device_error()) {
                    (_, Some(error)) => MountError::Disk(*error),
                    // It has no first sector.
                    (ErrorKind::NotRecognized | ErrorKind::InvalidInput, _) => MountError::NotFat,
                    _ => MountError::Damaged(error.message()),
                }
            })?;
            let positions = CacheOptions::new()
                .with_blocks(0)
                .with_chain_positions(POSITIONS_KEPT);
            Ok(fs.with_cache(positions))
        };
        let mut fs = mount(Sectors(Cache::new(Box::new(disk))))?;
        // FAT12 does not know.
        let maybe_in_use = fs.was_dirty() || fs.info().kind() == FatKind::Fat12;
        if maybe_in_use && !fs.is_read_only() {
            let doubles = repair::find(&mut fs);
            if !doubles.is_empty() {
                let mut disk = fs.into_inner();
                repair::separate(&mut disk, &doubles).map_err(MountError::Disk)?;
                fs = mount(disk)?;
                repair::copy(&mut fs, &doubles).map_err(|error| match error.device_error() {
                    Some(error) => MountError::Disk(*error),
                    None => MountError::Damaged(error.message()),
                })?;
            }
        }
        let mut state = State::new(fs, clock);
        let read_only = state.fs.is_read_only();
        if !read_only {
            state.remove_leftovers();
        }
        let id = state.fs.root();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            device: wasi_filesystem::vfs::new_device(),
            read_only,
        });
        let root = Arc::new(Node {
            shared: shared.clone(),
            id,
            is_directory: true,
        });
        Ok(Self { shared, root })
    }

    /// Whether it was in use when the machine stopped last, by its own mark, which FAT12 does not
    /// have and which only `fsck.fat` takes away, with the room that was lost. It can be used.
    pub fn was_in_use(&self) -> bool {
        self.shared.state.lock().fs.was_dirty()
    }

    /// Writes everything that is still to be written, and waits until the medium has it.
    ///
    /// # Errors
    /// - [`ErrorCode::Io`](wasi_filesystem::ErrorCode::Io): the disk failed, or the filesystem is
    ///   damaged. What could not be written is tried again by the next call.
    /// - [`ErrorCode::ReadOnly`](wasi_filesystem::ErrorCode::ReadOnly): the disk accepts no more
    ///   writes.
    pub fn flush(&self) -> Result<()> {
        self.shared.state.lock().flush()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.read_only {
            self.state.lock().unmount();
        }
    }
}
