//! The calls on Linux, which block.
//!
//! cap-std resolves paths. What is done beside it is a single call on one name in a directory
//! that is open already, never `..` and without following it if it is a link: such a call
//! can't lead anywhere else.

use super::bufs::{OFFSET_MAX, cut, cut_mut, within};
use super::path::{code, follow, split};
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    NewTimestamp, OpenFlags, PathFlags, Result,
};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use core::array;
use core::num::NonZeroU64;
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, RawDir, RawMode, ResolveFlags};
use rustix::fs::{Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wasi_types::Datetime;

fn errno(error: Errno) -> ErrorCode {
    ErrorCode::from(std::io::Error::from(error))
}

fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields' types differ by architecture"
)]
fn descriptor_stat(stat: Stat) -> DescriptorStat {
    // A time before 1970 can't be said.
    let time =
        |seconds: i64, nanoseconds: u32| Datetime::new(u64::try_from(seconds).ok()?, nanoseconds);
    DescriptorStat {
        descriptor_type: descriptor_type(FileType::from_raw_mode(stat.st_mode as RawMode)),
        link_count: stat.st_nlink as u64,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        data_access_timestamp: time(stat.st_atime as i64, stat.st_atime_nsec as u32),
        data_modification_timestamp: time(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        status_change_timestamp: time(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
    }
}

fn timestamps(access: NewTimestamp, modification: NewTimestamp) -> Result<Timestamps> {
    let time = |new: NewTimestamp| {
        let (tv_sec, tv_nsec) = match new {
            NewTimestamp::NoChange => (0, UTIME_OMIT),
            NewTimestamp::Now => (0, UTIME_NOW),
            NewTimestamp::Timestamp(time) => (
                i64::try_from(time.seconds()).map_err(|_| ErrorCode::Overflow)?,
                time.nanoseconds().into(),
            ),
        };
        Ok::<_, ErrorCode>(Timespec { tv_sec, tv_nsec })
    };
    Ok(Timestamps {
        last_access: time(access)?,
        last_modification: time(modification)?,
    })
}

/// `O_NONBLOCK`, for named pipes and devices: neither opening nor using one then waits for
/// its peer. `O_NOCTTY`: a terminal stays what it was.
fn open_flags(path_flags: PathFlags, open_flags: OpenFlags, flags: DescriptorFlags) -> OFlags {
    let read = flags.contains(DescriptorFlags::READ);
    let mut oflags = match flags.contains(DescriptorFlags::WRITE) {
        false => OFlags::RDONLY,
        true if read => OFlags::RDWR,
        true => OFlags::WRONLY,
    };
    oflags |= OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    oflags.set(
        OFlags::NOFOLLOW,
        !path_flags.contains(PathFlags::SYMLINK_FOLLOW),
    );
    for (flag, oflag) in [
        (OpenFlags::CREATE, OFlags::CREATE),
        (OpenFlags::DIRECTORY, OFlags::DIRECTORY),
        (OpenFlags::EXCLUSIVE, OFlags::EXCL),
        (OpenFlags::TRUNCATE, OFlags::TRUNC),
    ] {
        oflags.set(oflag, open_flags.contains(flag));
    }
    // Without O_CREAT, O_EXCL is not defined.
    oflags.set(OFlags::EXCL, oflags.contains(OFlags::CREATE | OFlags::EXCL));
    // O_RSYNC is O_SYNC here, and reads see what was written in any case.
    for (flag, oflag) in [
        (DescriptorFlags::FILE_INTEGRITY_SYNC, OFlags::SYNC),
        (DescriptorFlags::DATA_INTEGRITY_SYNC, OFlags::DSYNC),
    ] {
        if flags.contains(flag) {
            oflags |= oflag;
        }
    }
    oflags
}

/// Opens below `dir`, by cap-std.
fn open_beneath(dir: &Dir, path: &str, oflags: OFlags) -> Result<OwnedFd> {
    let writes = oflags.intersects(OFlags::WRONLY | OFlags::RDWR);
    let mut options = OpenOptions::new();
    options
        .read(!oflags.contains(OFlags::WRONLY))
        .write(writes)
        .follow(match oflags.contains(OFlags::NOFOLLOW) {
            true => FollowSymlinks::No,
            false => FollowSymlinks::Yes,
        })
        .custom_flags(oflags.bits() as i32);
    let file = dir.open_with(path, &options).map_err(code)?;
    Ok(file.into_std().into())
}

/// As [`open_beneath`], where the kernel has all of the way in memory; `None` where it has
/// not, or where it fails. It is the call that cap-std makes, and a flag.
fn open_beneath_cached(dir: &Dir, path: &str, oflags: OFlags) -> Option<OwnedFd> {
    const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
        .union(ResolveFlags::NO_MAGICLINKS)
        .union(ResolveFlags::CACHED);
    rustix::fs::openat2(dir, path, oflags, Mode::empty(), RESOLVE).ok()
}

fn path_only(path_flags: PathFlags) -> OFlags {
    let mut oflags = OFlags::PATH | OFlags::CLOEXEC;
    oflags.set(
        OFlags::NOFOLLOW,
        !path_flags.contains(PathFlags::SYMLINK_FOLLOW),
    );
    oflags
}

/// Makes a call on the last step of `path` in the directory that it is in. None of those that
/// it is used for follows a link at the end, also where a `/` is behind it.
fn in_parent<T>(
    dir: &Dir,
    path: &str,
    call: impl FnOnce(BorrowedFd<'_>, &str) -> Result<T>,
) -> Result<T> {
    match split(path)? {
        ("", name) => call(dir.as_fd(), name),
        (parent, name) => call(dir.open_dir(parent).map_err(code)?.as_fd(), name),
    }
}

/// Opens `dir` anew: `.` is nothing but itself.
fn reopen_fd(dir: &Dir) -> rustix::io::Result<OwnedFd> {
    let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, ".", oflags, Mode::empty())
}

/// `dir`, as a handle for more than paths.
pub(super) fn reopen(dir: &Dir) -> std::io::Result<Dir> {
    Ok(Dir::from_std_file(reopen_fd(dir)?.into()))
}

/// Whether `path` is a name in the directory that it starts from.
fn is_name(path: &str) -> bool {
    !path.is_empty() && path != "." && path != ".." && !path.contains('/')
}

/// An open file and what it is.
pub(super) type Opened = (File, DescriptorType);

fn opened(fd: OwnedFd, oflags: OFlags) -> Result<Opened> {
    if oflags.contains(OFlags::DIRECTORY) {
        return Ok((fd.into(), DescriptorType::Directory));
    }
    let stat = rustix::fs::fstat(&fd).map_err(errno)?;
    let file_type = FileType::from_raw_mode(stat.st_mode);
    Ok((fd.into(), descriptor_type(file_type)))
}

pub(super) fn open_at(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Opened> {
    let oflags = open_flags(path_flags, open, flags);
    opened(open_beneath(dir, path, oflags)?, oflags)
}

/// As [`open_at`] for what is there, where no disk is needed.
pub(super) fn open_at_cached(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Option<Opened> {
    let oflags = open_flags(path_flags, open, flags);
    opened(open_beneath_cached(dir, path, oflags)?, oflags).ok()
}

pub(super) fn stat(file: &File) -> Result<DescriptorStat> {
    fstat(file)
}

pub(super) fn stat_directory(dir: &Dir) -> Result<DescriptorStat> {
    fstat(dir)
}

fn fstat(fd: impl AsFd) -> Result<DescriptorStat> {
    rustix::fs::fstat(fd).map(descriptor_stat).map_err(errno)
}

pub(super) fn stat_at(dir: &Dir, path_flags: PathFlags, path: &str) -> Result<DescriptorStat> {
    if is_name(path) {
        let stat = rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        let stat = descriptor_stat(stat);
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        if !follow || stat.descriptor_type != DescriptorType::SymbolicLink {
            return Ok(stat);
        }
    }
    fstat(open_beneath(dir, path, path_only(path_flags))?)
}

/// As [`stat_at`], where no disk is needed.
pub(super) fn stat_at_cached(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
) -> Option<DescriptorStat> {
    fstat(open_beneath_cached(dir, path, path_only(path_flags))?).ok()
}

pub(super) fn readlink_at(dir: &Dir, path: &str) -> Result<String> {
    let link = open_beneath(dir, path, path_only(PathFlags::empty()))?;
    match rustix::fs::readlinkat(link, "", Vec::new()) {
        Ok(target) => target
            .into_string()
            .map_err(|_| ErrorCode::IllegalByteSequence),
        // What an empty path says of an object that is no link.
        Err(Errno::NOENT) => Err(ErrorCode::Invalid),
        Err(error) => Err(errno(error)),
    }
}

pub(super) fn create_directory_at(dir: &Dir, path: &str) -> Result<()> {
    in_parent(dir, path, |dir, name| {
        rustix::fs::mkdirat(dir, name, Mode::RWXU | Mode::RWXG | Mode::RWXO).map_err(errno)
    })
}

pub(super) fn symlink_at(dir: &Dir, target: &str, path: &str) -> Result<()> {
    in_parent(dir, path, |dir, name| {
        rustix::fs::symlinkat(target, dir, name).map_err(errno)
    })
}

pub(super) fn link_at(
    old: &Dir,
    path_flags: PathFlags,
    old_path: &str,
    new: &Dir,
    new_path: &str,
) -> Result<()> {
    let followed;
    let old_path = match path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
        false => old_path,
        true => {
            followed = follow(old_path, |path| readlink_at(old, path))?;
            &followed
        }
    };
    if old_path.ends_with('/') {
        // It names a directory, which can't have two names; and linkat would follow a link.
        return match stat_at(old, PathFlags::SYMLINK_FOLLOW, old_path) {
            Ok(_) => Err(ErrorCode::NotPermitted),
            Err(error) => Err(error),
        };
    }
    in_parent(old, old_path, |old, old_name| {
        in_parent(new, new_path, |new, new_name| {
            rustix::fs::linkat(old, old_name, new, new_name, AtFlags::empty()).map_err(errno)
        })
    })
}

pub(super) fn rename_at(old: &Dir, old_path: &str, new: &Dir, new_path: &str) -> Result<()> {
    in_parent(old, old_path, |old, old_name| {
        in_parent(new, new_path, |new, new_name| {
            match rustix::fs::renameat(old, old_name, new, new_name) {
                Err(Errno::EXIST | Errno::NOTEMPTY) => Err(not_empty(old, old_name)),
                result => result.map_err(errno),
            }
        })
    })
}

/// The code where a directory that has something in it was to be replaced by `name` in `old`.
/// The kernel says the same of a file where the directory is one that the file is in.
fn not_empty(old: BorrowedFd<'_>, name: &str) -> ErrorCode {
    match rustix::fs::statat(old, name.trim_end_matches('/'), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
            ErrorCode::IsDirectory
        }
        _ => ErrorCode::NotEmpty,
    }
}

pub(super) fn unlink_file_at(dir: &Dir, path: &str) -> Result<()> {
    in_parent(dir, path, |dir, name| {
        rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(errno)
    })
}

pub(super) fn remove_directory_at(dir: &Dir, path: &str) -> Result<()> {
    in_parent(dir, path, |dir, name| {
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::EXIST) => Err(ErrorCode::NotEmpty),
            result => result.map_err(errno),
        }
    })
}

pub(super) fn set_times(
    file: &File,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    rustix::fs::futimens(file, &timestamps(access, modification)?).map_err(errno)
}

pub(super) fn set_directory_times(
    dir: &Dir,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    rustix::fs::futimens(dir, &timestamps(access, modification)?).map_err(errno)
}

pub(super) fn set_times_at(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    let times = timestamps(access, modification)?;
    let object = open_beneath(dir, path, path_only(path_flags))?;
    rustix::fs::utimensat(object, "", &times, AtFlags::EMPTY_PATH).map_err(errno)
}

pub(super) fn sync(file: &File) -> Result<()> {
    retry_on_intr(|| rustix::fs::fsync(file)).map_err(errno)
}

pub(super) fn sync_directory(dir: &Dir) -> Result<()> {
    retry_on_intr(|| rustix::fs::fsync(dir)).map_err(errno)
}

pub(super) fn sync_data(file: &File) -> Result<()> {
    retry_on_intr(|| rustix::fs::fdatasync(file)).map_err(errno)
}

pub(super) fn set_size(file: &File, size: u64) -> Result<()> {
    if size > OFFSET_MAX {
        return Err(ErrorCode::FileTooLarge);
    }
    retry_on_intr(|| rustix::fs::ftruncate(file, size)).map_err(errno)
}

pub(super) fn allocate(file: &File, offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= OFFSET_MAX => {}
        _ => return Err(ErrorCode::FileTooLarge),
    }
    let flags = FallocateFlags::empty();
    retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, length)).map_err(errno)
}

pub(super) fn advise(file: &File, offset: u64, length: u64, advice: Advice) -> Result<()> {
    use rustix::fs::Advice as Fadvise;
    let advice = match advice {
        Advice::Normal => Fadvise::Normal,
        Advice::Sequential => Fadvise::Sequential,
        Advice::Random => Fadvise::Random,
        Advice::WillNeed => Fadvise::WillNeed,
        Advice::DontNeed => Fadvise::DontNeed,
        Advice::NoReuse => Fadvise::NoReuse,
    };
    let length = NonZeroU64::new(length.min(OFFSET_MAX));
    rustix::fs::fadvise(file, offset.min(OFFSET_MAX), length, advice).map_err(errno)
}

pub(super) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let length = within(offset, buf.len()).ok_or(ErrorCode::Invalid)?;
    retry_on_intr(|| rustix::io::pread(file, &mut buf[..length], offset)).map_err(errno)
}

/// As [`read_at`], up to where a disk would be needed; `None` where that is at once, or where
/// the filesystem can't tell.
pub(super) fn read_at_cached(file: &File, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
    let Some(length) = within(offset, buf.len()) else {
        return Some(Err(ErrorCode::Invalid));
    };
    read_cached(file, offset, &mut [IoSliceMut::new(&mut buf[..length])])
}

fn read_cached(file: &File, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Option<Result<usize>> {
    match rustix::io::preadv2(file, bufs, offset, ReadWriteFlags::NOWAIT) {
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => None,
        result => Some(result.map_err(errno)),
    }
}

pub(super) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> Result<usize> {
    let bytes = match within(offset, bytes.len()) {
        Some(length) if length > 0 => &bytes[..length],
        _ => return Err(ErrorCode::FileTooLarge),
    };
    retry_on_intr(|| rustix::io::pwrite(file, bytes, offset)).map_err(errno)
}

pub(super) fn append(file: &File, bytes: &[u8]) -> Result<usize> {
    append_slices(file, &[IoSlice::new(bytes)])
}

/// The kernel finds the end and writes in one step, as it does for O_APPEND.
fn append_slices(file: &File, bufs: &[IoSlice<'_>]) -> Result<usize> {
    retry_on_intr(|| rustix::io::pwritev2(file, bufs, 0, ReadWriteFlags::APPEND)).map_err(errno)
}

/// The most buffers of one call (IOV_MAX).
const BUFS_MAX: usize = 1024;
/// The most buffers that are told to the kernel without an allocation.
const BUFS_FEW: usize = 16;

/// Makes a call on the buffers, cut after `max` bytes.
fn with_slices<T>(bufs: &[&[u8]], max: usize, call: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    let mut slices = cut(bufs, max).map(IoSlice::new);
    if bufs.len() > BUFS_FEW {
        return call(&slices.take(BUFS_MAX).collect::<Vec<_>>());
    }
    let few: [_; BUFS_FEW] = array::from_fn(|_| slices.next().unwrap_or(IoSlice::new(&[])));
    call(&few[..bufs.len()])
}

/// As [`with_slices`], for buffers to be filled.
fn with_slices_mut<T>(
    bufs: &mut [&mut [u8]],
    max: usize,
    call: impl FnOnce(&mut [IoSliceMut<'_>]) -> T,
) -> T {
    let count = bufs.len();
    let mut slices = cut_mut(bufs, max).map(IoSliceMut::new);
    if count > BUFS_FEW {
        return call(&mut slices.take(BUFS_MAX).collect::<Vec<_>>());
    }
    let none = || IoSliceMut::new(&mut []);
    let mut few: [_; BUFS_FEW] = array::from_fn(|_| slices.next().unwrap_or_else(none));
    call(&mut few[..count])
}

pub(super) fn read_vectored_at(file: &File, offset: u64, bufs: &mut [&mut [u8]]) -> Result<usize> {
    let max = within(offset, usize::MAX).ok_or(ErrorCode::Invalid)?;
    with_slices_mut(bufs, max, |bufs| {
        retry_on_intr(|| rustix::io::preadv(file, bufs, offset)).map_err(errno)
    })
}

/// As [`read_at_cached`], up to `max` bytes.
pub(super) fn read_vectored_at_cached(
    file: &File,
    offset: u64,
    bufs: &mut [&mut [u8]],
    max: usize,
) -> Option<Result<usize>> {
    let Some(max) = within(offset, max) else {
        return Some(Err(ErrorCode::Invalid));
    };
    with_slices_mut(bufs, max, |bufs| read_cached(file, offset, bufs))
}

/// Up to `max` bytes.
pub(super) fn write_vectored_at(
    file: &File,
    offset: u64,
    bufs: &[&[u8]],
    max: usize,
) -> Result<usize> {
    let max = match within(offset, max) {
        Some(max) if max > 0 => max,
        _ => return Err(ErrorCode::FileTooLarge),
    };
    with_slices(bufs, max, |bufs| {
        retry_on_intr(|| rustix::io::pwritev(file, bufs, offset)).map_err(errno)
    })
}

/// As [`append`], up to `max` bytes: in one step up to [`BUFS_MAX`] buffers.
pub(super) fn append_vectored(file: &File, bufs: &[&[u8]], max: usize) -> Result<usize> {
    with_slices(bufs, max, |bufs| append_slices(file, bufs))
}

/// A directory that is being listed.
pub(super) struct Listing {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Listing {
    /// Bytes of entries that are taken from the kernel at once.
    const BUFFER: usize = 32 << 10;
    /// Entries after which no more are asked for.
    const ENOUGH: usize = 256;

    /// A descriptor of its own has a position of its own.
    pub(super) fn open(dir: &Dir) -> Result<Self> {
        Ok(Self {
            fd: reopen_fd(dir).map_err(errno)?,
            buffer: Vec::with_capacity(Self::BUFFER),
        })
    }

    /// Adds entries to `batch`, and says whether there may be more.
    pub(super) fn more(&mut self, batch: &mut VecDeque<Result<DirectoryEntry>>) -> Result<bool> {
        while batch.len() < Self::ENOUGH {
            let mut entries = RawDir::new(&self.fd, self.buffer.spare_capacity_mut());
            loop {
                let entry = match entries.next() {
                    // A directory that was removed has none.
                    None | Some(Err(Errno::NOENT)) => return Ok(false),
                    Some(Err(Errno::INTR)) => break,
                    Some(Err(error)) => return Err(errno(error)),
                    Some(Ok(entry)) => entry,
                };
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    batch.push_back(match str::from_utf8(name) {
                        Ok(name) => Ok(DirectoryEntry {
                            descriptor_type: descriptor_type(entry.file_type()),
                            name: name.into(),
                            inode: entry.ino(),
                        }),
                        Err(_) => Err(ErrorCode::IllegalByteSequence),
                    });
                }
                if entries.is_buffer_empty() {
                    break;
                }
            }
        }
        Ok(true)
    }
}
