//! The traits a filesystem implements that has paths of its own.
//!
//! One that has only inodes implements [`Vfs`](crate::Vfs) instead.

use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    NewTimestamp, OpenFlags, PathFlags, vectored,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;
use core::any::Any;
use core::task::{Context, Poll};
use wasi_io::Op;

/// What an operation on files gives.
pub type Result<T, E = ErrorCode> = core::result::Result<T, E>;

/// What was opened.
#[derive(Clone)]
pub enum Object {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// Anything else that can be read or written.
    File(Arc<dyn File>),
}

/// An open file: a regular one, or a device or pipe. Dropping it closes it.
///
/// It is called only for what it was opened for: [`File::read_at`] where the flags of
/// [`Directory::open_at`] had [`DescriptorFlags::READ`], what changes its contents where they
/// had [`DescriptorFlags::WRITE`]; [`File::set_times`] does not need it. Offsets and lengths
/// are the guest's: an offset that the file can't have is an error of the operation, never a
/// panic. Any number of operations may be under way at once.
///
/// Every method may answer with an error that its list does not name, such as
/// [`ErrorCode::Io`].
pub trait File: Send + Sync + 'static {
    /// What it is, as [`DescriptorStat::descriptor_type`] says; never a directory.
    fn descriptor_type(&self) -> DescriptorType {
        DescriptorType::RegularFile
    }

    /// What is known of it (fstat).
    fn stat(&self) -> Op<Result<DescriptorStat>>;

    /// Reads from `offset` on, up to `buf.len()` bytes (at least 1), and says how many; 0 is
    /// the end of the file, which any later offset has as well (pread).
    ///
    /// Pending, the bytes come later, no more than `buf.len()` of them, and `buf` holds
    /// nothing. Dropping that future gives up the read.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidSeek`]: it has no offsets: a pipe, say.
    /// - [`ErrorCode::Invalid`]: `offset` is beyond what the backend can address, 2^63 - 1
    ///   at least.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>>;

    /// Writes `bytes` from `offset` on, and says how many were written, at least 1 where there
    /// are any (pwrite). Bytes between the end and `offset` become zeros.
    ///
    /// Pending, it has taken its own copy of `bytes` and is under way: it goes on if the
    /// future is dropped and no one polls it.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidSeek`]: it has no offsets.
    /// - [`ErrorCode::FileTooLarge`]: `offset` is no less than the most bytes that a file can
    ///   have. A write that begins below it is cut off there.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: no byte finds room.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>>;

    /// As [`File::write_at`], at the end of the file, wherever that is then: two that append
    /// at once don't overwrite each other (O_APPEND).
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn append(&self, bytes: &[u8]) -> Op<Result<usize>>;

    /// As [`File::read_at`] into several buffers, one after the other, in one step where that
    /// can be had (preadv). Buffers may be empty; where all are, 0 is no end of the file.
    ///
    /// The default reads into one after the other by [`File::read_at`], until one is not
    /// filled; an error or a wait after the first is left to the next call.
    ///
    /// # Errors
    /// As [`File::read_at`].
    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        vectored::read(offset, bufs, |offset, buf| self.read_at(offset, buf))
    }

    /// As [`File::write_at`] from several buffers, one after the other, in one step where that
    /// can be had (pwritev). Buffers may be empty.
    ///
    /// The default writes one after the other by [`File::write_at`], until one is not written
    /// whole or is pending. An error after the first is left to the next call.
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        vectored::write(bufs, |done, buf| {
            self.write_at(offset.saturating_add(done as u64), buf)
        })
    }

    /// As [`File::write_vectored_at`], at the end of the file, wherever that is then. Where it
    /// is one step, nobody's bytes come between those of one call (writev with O_APPEND).
    ///
    /// The default appends one buffer after the other by [`File::append`], so that they may.
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        vectored::write(bufs, |_, buf| self.append(buf))
    }

    /// Makes sure that there is room for the `length` bytes (at least 1) from `offset` on,
    /// which is then taken; a shorter file is extended with zeros to their end. No byte
    /// changes, and no file gets shorter (posix_fallocate).
    ///
    /// # Errors
    /// - [`ErrorCode::Unsupported`], as the default does: room can't be had beforehand.
    /// - [`ErrorCode::Invalid`]: it is not a regular file.
    /// - [`ErrorCode::FileTooLarge`]: the bytes end beyond the size that a file can have, or
    ///   beyond 2^64 - 1.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: there is no room.
    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        let _ = (offset, length);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Cuts the file to `size` bytes, or extends it with zeros (ftruncate).
    ///
    /// # Errors
    /// - [`ErrorCode::Invalid`]: it is not a regular file.
    /// - [`ErrorCode::FileTooLarge`]: `size` is more than a file can have.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: there is no room.
    fn set_size(&self, size: u64) -> Op<Result<()>>;

    /// Sets its times of last access and last modification (futimens).
    ///
    /// # Errors
    /// - [`ErrorCode::Unsupported`], as the default does: times can't be set.
    /// - [`ErrorCode::Access`], [`ErrorCode::NotPermitted`]: not by this process.
    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        let _ = (access, modification);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Waits until contents and metadata are on the medium (fsync). The default is for what
    /// has no medium.
    ///
    /// # Errors
    /// - [`ErrorCode::Io`]: something that was written before could not be kept.
    fn sync(&self) -> Op<Result<()>> {
        Op::Ready(Ok(()))
    }

    /// Waits until contents, and the metadata that is needed to read them, are on the medium
    /// (fdatasync). The default is [`File::sync`].
    ///
    /// # Errors
    /// As [`File::sync`].
    fn sync_data(&self) -> Op<Result<()>> {
        self.sync()
    }

    /// Says how `length` bytes from `offset` on will be used; 0 is up to the end
    /// (posix_fadvise). The default ignores it.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidSeek`]: it has no offsets.
    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        let _ = (offset, length, advice);
        Op::Ready(Ok(()))
    }
}

/// An open directory, and everything below it. Dropping it closes it.
///
/// **Paths** are relative to it: not empty, without a leading `/`, without NUL, and at most
/// [`PATH_MAX`](crate::PATH_MAX) bytes. Steps are separated by one or more `/`; `.` is the
/// directory itself, `..` the one above. A `/` at the end means that the object is a
/// directory. A path that, by `..` or by a symbolic link, on any step leads above this
/// directory is [`ErrorCode::NotPermitted`], and so is a link to an absolute path: no path
/// ever reaches anything outside, also while somebody else renames what it goes through.
///
/// Errors that every operation with a path has:
/// - [`ErrorCode::NoEntry`]: a step does not exist.
/// - [`ErrorCode::NotDirectory`]: something on the way, or a path's object with a `/` at its
///   end, is no directory.
/// - [`ErrorCode::NotPermitted`]: it leads outside.
/// - [`ErrorCode::Loop`]: more than 40 symbolic links are on the way.
/// - [`ErrorCode::NameTooLong`]: a step is longer than the backend's names can be.
/// - [`ErrorCode::Access`]: the machine refuses it to this process.
///
/// Who changes something is checked before the call: a backend is asked to change only what
/// the guest may. What it can't do at all is [`ErrorCode::Unsupported`], as the defaults say.
pub trait Directory: Any + Send + Sync + 'static {
    /// Whether nothing below it can be changed through it, by anybody: operations that would
    /// are then refused before the backend is asked. The default is `false`.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Opens what is at `path` (openat). A directory may be opened with any `flags`; for
    /// others [`DescriptorFlags::MUTATE_DIRECTORY`] has no meaning. Opening never waits for a
    /// peer, as that of a named pipe would.
    ///
    /// # Errors
    /// - [`ErrorCode::Exist`]: [`OpenFlags::CREATE`] with [`OpenFlags::EXCLUSIVE`], and
    ///   something is there, if only a symbolic link to nothing.
    /// - [`ErrorCode::IsDirectory`]: a directory, with [`DescriptorFlags::WRITE`],
    ///   [`OpenFlags::TRUNCATE`], or [`OpenFlags::CREATE`] without
    ///   [`OpenFlags::DIRECTORY`]; or [`OpenFlags::CREATE`] for a path with a `/` at its end.
    /// - [`ErrorCode::NotDirectory`]: [`OpenFlags::DIRECTORY`], and it is none.
    /// - [`ErrorCode::Invalid`]: [`OpenFlags::CREATE`] and [`OpenFlags::DIRECTORY`] together.
    /// - [`ErrorCode::Loop`]: a symbolic link, without [`PathFlags::SYMLINK_FOLLOW`].
    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>>;

    /// What is known of the directory (fstat).
    fn stat(&self) -> Op<Result<DescriptorStat>>;

    /// What is known of the object at `path` (fstatat).
    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>>;

    /// The entries of the directory, from the first, each once. What is added or removed
    /// meanwhile may be in it or not.
    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>>;

    /// The target of the symbolic link at `path`, as it was made (readlinkat).
    ///
    /// # Errors
    /// - [`ErrorCode::Invalid`]: it is no symbolic link.
    /// - [`ErrorCode::IllegalByteSequence`]: the target is not UTF-8.
    fn readlink_at(&self, path: &str) -> Op<Result<alloc::string::String>> {
        let _ = path;
        Op::failed(ErrorCode::Unsupported)
    }

    /// Makes a directory (mkdirat). A `/` at the end of `path` is allowed.
    ///
    /// # Errors
    /// - [`ErrorCode::Exist`]: something is there, if only a symbolic link to nothing.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: there is no room.
    fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        let _ = path;
        Op::failed(ErrorCode::Unsupported)
    }

    /// Makes a symbolic link at `new_path` with the contents `old_path`: not empty, not
    /// absolute, without NUL, at most [`PATH_MAX`](crate::PATH_MAX) bytes; what it leads to
    /// is not looked at (symlinkat).
    ///
    /// # Errors
    /// - [`ErrorCode::Exist`]: something is there.
    /// - [`ErrorCode::NoEntry`]: `new_path` has a `/` at its end.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: there is no room.
    fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        let _ = (old_path, new_path);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Gives the object at `old_path` another name, below `new` (linkat). `new` may be a
    /// directory of another backend.
    ///
    /// # Errors
    /// - [`ErrorCode::Exist`]: something is at `new_path`.
    /// - [`ErrorCode::NotPermitted`]: the object is a directory.
    /// - [`ErrorCode::CrossDevice`]: `new` is of another filesystem.
    /// - [`ErrorCode::NoEntry`]: `new_path` has a `/` at its end.
    /// - [`ErrorCode::TooManyLinks`]: it has as many names as it can.
    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &dyn Directory,
        new_path: &str,
    ) -> Op<Result<()>> {
        let _ = (old_path_flags, old_path, new, new_path);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Moves the object at `old_path` to `new_path` below `new`, in place of what is there, in
    /// one step (renameat). A symbolic link is moved itself. Two names of one object stay as
    /// they are.
    ///
    /// # Errors
    /// - [`ErrorCode::CrossDevice`]: `new` is of another filesystem.
    /// - [`ErrorCode::IsDirectory`]: `new_path` is a directory, and the object none.
    /// - [`ErrorCode::NotDirectory`]: the object is a directory, and `new_path` something
    ///   else; or it is none, and a path has a `/` at its end.
    /// - [`ErrorCode::NotEmpty`]: `new_path` is a directory with something in it.
    /// - [`ErrorCode::Invalid`]: a directory would move into itself.
    /// - [`ErrorCode::Busy`]: a path ends in `.` or `..`.
    fn rename_at(&self, old_path: &str, new: &dyn Directory, new_path: &str) -> Op<Result<()>> {
        let _ = (old_path, new, new_path);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Removes the name `path` of something that is no directory; it lives on while it is open
    /// or has other names (unlinkat). A symbolic link is removed itself.
    ///
    /// # Errors
    /// - [`ErrorCode::IsDirectory`]: it is a directory.
    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        let _ = path;
        Op::failed(ErrorCode::Unsupported)
    }

    /// Removes the directory at `path` (unlinkat with AT_REMOVEDIR). A `/` at the end of
    /// `path` is allowed.
    ///
    /// # Errors
    /// - [`ErrorCode::NotDirectory`]: it is none, if only a symbolic link to one.
    /// - [`ErrorCode::NotEmpty`]: something is in it.
    /// - [`ErrorCode::Invalid`], [`ErrorCode::Busy`]: `path` ends in `.` or `..`.
    fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        let _ = path;
        Op::failed(ErrorCode::Unsupported)
    }

    /// Sets the times of last access and last modification of the directory (futimens).
    ///
    /// # Errors
    /// As [`File::set_times`].
    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        let _ = (access, modification);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Sets the times of last access and last modification of the object at `path`
    /// (utimensat).
    ///
    /// # Errors
    /// As [`File::set_times`].
    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        let _ = (path_flags, path, access, modification);
        Op::failed(ErrorCode::Unsupported)
    }

    /// Waits until the directory's entries are on the medium (fsync). The default is for what
    /// has no medium.
    ///
    /// # Errors
    /// As [`File::sync`].
    fn sync(&self) -> Op<Result<()>> {
        Op::Ready(Ok(()))
    }
}

/// A directory that is being listed. It holds no more than a part of the listing at once.
pub trait DirectoryEntries: Send + 'static {
    /// The next entry, in an order of the backend's choice, without `.` and `..`; `None` at
    /// the end, and from then on. Pending, it keeps the waker of `cx`.
    ///
    /// # Errors
    /// - [`ErrorCode::IllegalByteSequence`]: the next name is not UTF-8; the call after gives
    ///   the one behind it.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>>;
}
