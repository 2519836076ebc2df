//! What the WIT text of `wasi:filesystem/types` says, over any backend.

mod directory;
mod file;

#[cfg(feature = "p3")]
pub(crate) use file::fill;

use crate::backend::Result;
use crate::ctx::Guest;
use crate::freshness::Slot;
use crate::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, ErrorCode, MetadataHashValue,
    NewTimestamp, Object,
};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use wasi_io::Op;

/// An open file or directory of a guest (`wasi:filesystem/types.descriptor`), and what may be
/// done through it. A clone is the same open file.
///
/// The rules of the WIT text are kept here: a backend is called only with paths that can be
/// some, and for what the guest may do. Every operation answers at once where its backend does.
///
/// Errors that every operation may have, besides those that it lists and those of its method
/// of [`File`](crate::File) or [`Directory`]:
/// - [`ErrorCode::BadDescriptor`], for what only a file has: the descriptor is of a directory,
///   or not open for it.
/// - [`ErrorCode::NotDirectory`], for what only a directory has: it is of something else.
/// - [`ErrorCode::ReadOnly`], for what changes a directory, or anything that is reached by a
///   path: the directory does not have [`DescriptorFlags::MUTATE_DIRECTORY`].
/// - [`ErrorCode::NoEntry`], [`ErrorCode::NotPermitted`], [`ErrorCode::NameTooLong`],
///   [`ErrorCode::Invalid`], for paths: one is empty, absolute, longer than
///   [`PATH_MAX`](crate::PATH_MAX), or has a NUL in it.
#[derive(Clone)]
pub struct Descriptor(Arc<Open>);

/// What descriptors, and the streams that were made of them, hold open.
pub(crate) struct Open {
    object: Object,
    flags: DescriptorFlags,
    /// Of a directory: what is below it may be changed. Of a file: its times may be set.
    mutable: bool,
    slot: AtomicU8,
    place: Place,
}

/// A place among the descriptors of a guest; a preopened directory needs none of those that
/// are counted.
struct Place {
    guest: Arc<Guest>,
    counted: bool,
}

impl Place {
    fn take(guest: &Arc<Guest>) -> Result<Self> {
        guest.descriptors.take_one()?;
        Ok(Self {
            guest: guest.clone(),
            counted: true,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.counted {
            self.guest.descriptors.give(1);
        }
    }
}

impl Open {
    /// Which count of writes is this file's; asks the backend once.
    pub(crate) fn slot(&self) -> Slot {
        let known = Slot::from_byte(self.slot.load(Ordering::Relaxed));
        known.unwrap_or_else(|| {
            let slot = match self.stat() {
                Op::Ready(Ok(stat)) => Slot::of(&stat),
                _ => Slot::Unknown,
            };
            self.slot.store(slot.to_byte(), Ordering::Relaxed);
            slot
        })
    }

    /// Lets the guest's streams know that the file was written, or is about to be.
    pub(crate) fn changed(&self) {
        let generations = &self.guest().generations;
        if generations.has_readers() {
            generations.changed(self.slot());
        }
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.place.guest
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        match &self.object {
            Object::Directory(dir) => dir.stat(),
            Object::File(file) => file.stat(),
        }
    }
}

impl Descriptor {
    /// A directory that is granted, with everything below it.
    pub(crate) fn preopen(dir: Arc<dyn Directory>, guest: &Arc<Guest>) -> Self {
        let mutable = !dir.is_read_only();
        let mut flags = DescriptorFlags::READ;
        flags.set(DescriptorFlags::MUTATE_DIRECTORY, mutable);
        let place = Place {
            guest: guest.clone(),
            counted: false,
        };
        Self::new(Object::Directory(dir), flags, mutable, place)
    }

    fn new(object: Object, flags: DescriptorFlags, mutable: bool, place: Place) -> Self {
        Self(Arc::new(Open {
            object,
            flags,
            mutable,
            slot: AtomicU8::new(0),
            place,
        }))
    }

    /// What the backend has for it.
    pub fn object(&self) -> &Object {
        &self.0.object
    }

    /// `get-flags`: what it was opened with. A directory always has
    /// [`DescriptorFlags::READ`], a file never [`DescriptorFlags::MUTATE_DIRECTORY`].
    pub fn flags(&self) -> DescriptorFlags {
        self.0.flags
    }

    /// `get-type`: what it is open on.
    pub fn descriptor_type(&self) -> DescriptorType {
        match &self.0.object {
            Object::Directory(_) => DescriptorType::Directory,
            Object::File(file) => file.descriptor_type(),
        }
    }

    /// `stat`: what is known of it.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.0.stat()
    }

    /// `set-times`: sets its times of last access and last modification. A file need not be
    /// open for writing, as with futimens; that it was opened from a directory that can be
    /// changed is what counts.
    ///
    /// # Errors
    /// - [`ErrorCode::ReadOnly`]: it is a directory without
    ///   [`DescriptorFlags::MUTATE_DIRECTORY`], or was opened from one.
    pub fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        if !self.0.mutable {
            return Op::failed(ErrorCode::ReadOnly);
        }
        match &self.0.object {
            Object::Directory(dir) => dir.set_times(access, modification),
            Object::File(file) => file.set_times(access, modification),
        }
    }

    /// `sync`: waits until contents and metadata are on the medium; has no effect on what is
    /// not open for writing.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn sync(&self) -> Op<Result<()>> {
        match &self.0.object {
            _ if !self.may_write() => Op::Ready(Ok(())),
            Object::Directory(dir) => dir.sync(),
            Object::File(file) => file.sync(),
        }
    }

    /// `sync-data`: as [`Descriptor::sync`], for contents and the metadata that is needed to
    /// read them.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn sync_data(&self) -> Op<Result<()>> {
        match &self.0.object {
            _ if !self.may_write() => Op::Ready(Ok(())),
            Object::Directory(dir) => dir.sync(),
            Object::File(file) => file.sync_data(),
        }
    }

    /// `is-same-object`: whether both are open on the same file or directory.
    ///
    /// # Errors
    /// Those of the backend when it is asked what is known of them.
    pub fn is_same_object(&self, other: &Self) -> Op<Result<bool>> {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Op::Ready(Ok(true));
        }
        let id = |stat: DescriptorStat| (stat.device, stat.inode);
        match (self.stat(), other.stat()) {
            (Op::Ready(a), Op::Ready(b)) => Op::Ready(a.and_then(|a| Ok(id(a) == id(b?)))),
            (a, b) => Op::Pending(alloc::boxed::Box::pin(async move {
                Ok(id(a.finish().await?) == id(b.finish().await?))
            })),
        }
    }

    /// `metadata-hash`: tells whether it is another object, or was changed.
    ///
    /// # Errors
    /// Those of the backend when it is asked what is known of it.
    pub fn metadata_hash(&self) -> Op<Result<MetadataHashValue>> {
        let secret = self.0.place.guest.secret;
        self.stat()
            .map(move |stat| Ok(MetadataHashValue::new(&secret, &stat?)))
    }

    fn may_write(&self) -> bool {
        match self.0.object {
            Object::Directory(_) => self.0.mutable,
            Object::File(_) => self.0.flags.contains(DescriptorFlags::WRITE),
        }
    }
}

/// `filesystem-error-code`: the code of a file's stream that failed, if that is what `error`
/// is. An error of the machine has one as well.
pub fn filesystem_error_code(error: &wasi_io::Error) -> Option<ErrorCode> {
    let code = error.downcast_ref().copied();
    #[cfg(feature = "std")]
    let code = code.or_else(|| error.downcast_ref::<std::io::Error>().map(ErrorCode::from));
    code
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor")
            .field("type", &self.descriptor_type())
            .field("flags", &self.flags())
            .finish_non_exhaustive()
    }
}
