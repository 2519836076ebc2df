//! The calls where Linux's are missing, which block: by cap-std and std alone.
//!
//! What several calls do here is not one step for others: between a look at an object and the
//! call, somebody may exchange it. Then the error may be another one; the object that is
//! changed is still one below the directory, for that is cap-std's part.

use super::bufs::{OFFSET_MAX, cut_mut, joined, within};
use super::path::{code, follow, split};
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    NewTimestamp, OpenFlags, PathFlags, Result,
};
use alloc::collections::VecDeque;
use alloc::string::String;
use cap_fs_ext::{
    DirExt, FileTypeExt, FollowSymlinks, Metadata, MetadataExt, OpenOptionsFollowExt,
    OpenOptionsMaybeDirExt, OpenOptionsSyncExt, SystemTimeSpec,
};
use cap_std::fs::{Dir, OpenOptions, ReadDir};
use std::fs::{File, FileTimes};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use wasi_types::Datetime;

fn descriptor_type(file_type: cap_std::fs::FileType) -> DescriptorType {
    if file_type.is_file() {
        DescriptorType::RegularFile
    } else if file_type.is_dir() {
        DescriptorType::Directory
    } else if file_type.is_symlink() {
        DescriptorType::SymbolicLink
    } else if file_type.is_fifo() {
        DescriptorType::Fifo
    } else if file_type.is_socket() {
        DescriptorType::Socket
    } else if file_type.is_char_device() {
        DescriptorType::CharacterDevice
    } else if file_type.is_block_device() {
        DescriptorType::BlockDevice
    } else {
        DescriptorType::Unknown
    }
}

fn descriptor_stat(metadata: &Metadata) -> DescriptorStat {
    // A time before 1970 can't be said.
    let time = |time: io::Result<cap_std::time::SystemTime>| {
        Datetime::try_from(time.ok()?.into_std()).ok()
    };
    #[cfg(unix)]
    let status_change_timestamp = {
        use cap_fs_ext::OsMetadataExt;
        let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok();
        let seconds = u64::try_from(metadata.ctime()).ok();
        seconds.and_then(|seconds| Datetime::new(seconds, nanoseconds?))
    };
    #[cfg(not(unix))]
    let status_change_timestamp = None;
    DescriptorStat {
        descriptor_type: descriptor_type(metadata.file_type()),
        link_count: metadata.nlink(),
        size: metadata.len(),
        data_access_timestamp: time(metadata.accessed()),
        data_modification_timestamp: time(metadata.modified()),
        status_change_timestamp,
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// An open file and what it is.
pub(super) type Opened = (File, DescriptorType);

pub(super) fn reopen(dir: &Dir) -> io::Result<Dir> {
    dir.try_clone()
}

pub(super) fn open_at(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Opened> {
    let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
    let write = flags.contains(DescriptorFlags::WRITE);
    let create = open.contains(OpenFlags::CREATE);
    let truncate = open.contains(OpenFlags::TRUNCATE);
    if open.contains(OpenFlags::DIRECTORY) {
        let opened = match follow || path.ends_with('/') {
            true => dir.open_dir(path),
            false => dir.open_dir_nofollow(path),
        };
        let opened = opened.map_err(code)?;
        return match write || truncate {
            true => Err(ErrorCode::IsDirectory),
            false => Ok((opened.into_std_file(), DescriptorType::Directory)),
        };
    }
    if create && path.ends_with('/') {
        return Err(ErrorCode::IsDirectory);
    }
    let mut options = OpenOptions::new();
    options
        // std creates and truncates only what it may write.
        .write(write || create || truncate)
        .read(flags.contains(DescriptorFlags::READ) || !(write || create || truncate))
        .create(create)
        .create_new(create && open.contains(OpenFlags::EXCLUSIVE))
        .truncate(truncate)
        .sync(flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC))
        .dsync(flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC))
        .nonblock(true)
        .maybe_dir(true)
        .follow(match follow {
            true => FollowSymlinks::Yes,
            false => FollowSymlinks::No,
        });
    let file = dir.open_with(path, &options).map_err(code)?.into_std();
    let stat = stat(&file)?;
    match stat.descriptor_type {
        DescriptorType::Directory if write || create || truncate => Err(ErrorCode::IsDirectory),
        descriptor_type => Ok((file, descriptor_type)),
    }
}

pub(super) fn open_at_cached(
    _: &Dir,
    _: PathFlags,
    _: &str,
    _: OpenFlags,
    _: DescriptorFlags,
) -> Option<Opened> {
    None
}

pub(super) fn stat(file: &File) -> Result<DescriptorStat> {
    Ok(descriptor_stat(&Metadata::from_file(file)?))
}

pub(super) fn stat_directory(dir: &Dir) -> Result<DescriptorStat> {
    Ok(descriptor_stat(&dir.dir_metadata()?))
}

pub(super) fn stat_at(dir: &Dir, path_flags: PathFlags, path: &str) -> Result<DescriptorStat> {
    // std's paths forget a `/` or `/.` at the end.
    let directory = path.ends_with('/') || split(path)?.1 == ".";
    let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW) || directory;
    let metadata = match follow {
        true => dir.metadata(path),
        false => dir.symlink_metadata(path),
    };
    let stat = descriptor_stat(&metadata.map_err(code)?);
    match directory && stat.descriptor_type != DescriptorType::Directory {
        true => Err(ErrorCode::NotDirectory),
        false => Ok(stat),
    }
}

pub(super) fn stat_at_cached(_: &Dir, _: PathFlags, _: &str) -> Option<DescriptorStat> {
    None
}

/// What is at `path`, without the `/` at its end and not followed.
fn type_at(dir: &Dir, path: &str) -> Result<DescriptorType> {
    Ok(stat_at(dir, PathFlags::empty(), path.trim_end_matches('/'))?.descriptor_type)
}

/// That a new object other than a directory can be made at `path`.
fn new_name(dir: &Dir, path: &str) -> Result<()> {
    if !path.ends_with('/') {
        return Ok(());
    }
    type_at(dir, path)?;
    Err(ErrorCode::Exist)
}

pub(super) fn readlink_at(dir: &Dir, path: &str) -> Result<String> {
    if path.ends_with('/') {
        stat_at(dir, PathFlags::SYMLINK_FOLLOW, path)?;
        return Err(ErrorCode::Invalid);
    }
    let target = dir.read_link_contents(path).map_err(code)?;
    let target = target.into_os_string().into_string();
    let target = target.map_err(|_| ErrorCode::IllegalByteSequence)?;
    match cfg!(windows) {
        true => Ok(target.replace('\\', "/")),
        false => Ok(target),
    }
}

pub(super) fn create_directory_at(dir: &Dir, path: &str) -> Result<()> {
    dir.create_dir(path.trim_end_matches('/')).map_err(code)
}

pub(super) fn symlink_at(dir: &Dir, target: &str, path: &str) -> Result<()> {
    new_name(dir, path)?;
    DirExt::symlink(dir, target, path).map_err(code)
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
    let object = stat_at(old, PathFlags::empty(), old_path)?;
    if object.descriptor_type == DescriptorType::Directory {
        return match stat_at(new, PathFlags::empty(), new_path) {
            Ok(_) => Err(ErrorCode::Exist),
            Err(ErrorCode::NoEntry) => Err(ErrorCode::NotPermitted),
            Err(error) => Err(error),
        };
    }
    new_name(new, new_path)?;
    old.hard_link(old_path, new, new_path).map_err(code)
}

pub(super) fn rename_at(old: &Dir, old_path: &str, new: &Dir, new_path: &str) -> Result<()> {
    for (dir, path) in [(old, old_path), (new, new_path)] {
        if split(path)?.1 == "." {
            stat_at(dir, PathFlags::empty(), path)?;
            return Err(ErrorCode::Busy);
        }
    }
    let slash = old_path.ends_with('/') || new_path.ends_with('/');
    if slash && type_at(old, old_path)? != DescriptorType::Directory {
        return Err(ErrorCode::NotDirectory);
    }
    let [from, to] = [old_path, new_path].map(|path| path.trim_end_matches('/'));
    match old.rename(from, new, to).map_err(code) {
        Err(ErrorCode::Exist | ErrorCode::NotEmpty) => Err(match type_at(old, from) {
            Ok(DescriptorType::Directory) | Err(_) => ErrorCode::NotEmpty,
            Ok(_) => ErrorCode::IsDirectory,
        }),
        result => result,
    }
}

pub(super) fn unlink_file_at(dir: &Dir, path: &str) -> Result<()> {
    if type_at(dir, path)? == DescriptorType::Directory {
        return Err(ErrorCode::IsDirectory);
    }
    if path.ends_with('/') {
        return Err(ErrorCode::NotDirectory);
    }
    dir.remove_file_or_symlink(path).map_err(code)
}

pub(super) fn remove_directory_at(dir: &Dir, path: &str) -> Result<()> {
    if split(path)?.1 == "." {
        stat_at(dir, PathFlags::empty(), path)?;
        return Err(ErrorCode::Invalid);
    }
    match dir.remove_dir(path.trim_end_matches('/')).map_err(code) {
        Err(ErrorCode::Exist) => Err(ErrorCode::NotEmpty),
        result => result,
    }
}

fn system_time(time: Datetime) -> Result<SystemTime> {
    let since = Duration::new(time.seconds(), time.nanoseconds());
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .ok_or(ErrorCode::Overflow)
}

pub(super) fn set_times(
    file: &File,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    let mut times = FileTimes::new();
    for (new, set) in [
        (access, FileTimes::set_accessed as fn(_, _) -> _),
        (modification, FileTimes::set_modified),
    ] {
        times = match new {
            NewTimestamp::NoChange => times,
            NewTimestamp::Now => set(times, SystemTime::now()),
            NewTimestamp::Timestamp(time) => set(times, system_time(time)?),
        };
    }
    Ok(file.set_times(times)?)
}

pub(super) fn set_directory_times(
    dir: &Dir,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    set_times_at(dir, PathFlags::empty(), ".", access, modification)
}

pub(super) fn set_times_at(
    dir: &Dir,
    path_flags: PathFlags,
    path: &str,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    let spec = |new: NewTimestamp| {
        Ok::<_, ErrorCode>(match new {
            NewTimestamp::NoChange => None,
            NewTimestamp::Now => Some(SystemTimeSpec::SymbolicNow),
            NewTimestamp::Timestamp(time) => Some(SystemTimeSpec::Absolute(
                cap_std::time::SystemTime::from_std(system_time(time)?),
            )),
        })
    };
    let (access, modification) = (spec(access)?, spec(modification)?);
    let link =
        stat_at(dir, PathFlags::empty(), path)?.descriptor_type == DescriptorType::SymbolicLink;
    match link && !path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
        true => dir.set_symlink_times(path, access, modification),
        false => DirExt::set_times(dir, path, access, modification),
    }
    .map_err(code)
}

pub(super) fn sync(file: &File) -> Result<()> {
    Ok(file.sync_all()?)
}

pub(super) fn sync_data(file: &File) -> Result<()> {
    Ok(file.sync_data()?)
}

pub(super) fn sync_directory(dir: &Dir) -> Result<()> {
    if cfg!(windows) {
        // A directory's handle can't be flushed there.
        return Ok(());
    }
    Ok(dir.try_clone()?.into_std_file().sync_all()?)
}

pub(super) fn set_size(file: &File, size: u64) -> Result<()> {
    if size > OFFSET_MAX {
        return Err(ErrorCode::FileTooLarge);
    }
    Ok(file.set_len(size)?)
}

pub(super) fn advise(_: &File, _: u64, _: u64, _: Advice) -> Result<()> {
    Ok(())
}

pub(super) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let length = within(offset, buf.len()).ok_or(ErrorCode::Invalid)?;
    let buf = &mut buf[..length];
    #[cfg(unix)]
    let count = std::os::unix::fs::FileExt::read_at(file, buf, offset)?;
    #[cfg(windows)]
    let count = std::os::windows::fs::FileExt::seek_read(file, buf, offset)?;
    Ok(count)
}

pub(super) fn read_at_cached(_: &File, _: u64, _: &mut [u8]) -> Option<Result<usize>> {
    None
}

pub(super) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> Result<usize> {
    let bytes = match within(offset, bytes.len()) {
        Some(length) if length > 0 => &bytes[..length],
        _ => return Err(ErrorCode::FileTooLarge),
    };
    #[cfg(unix)]
    let count = std::os::unix::fs::FileExt::write_at(file, bytes, offset)?;
    #[cfg(windows)]
    let count = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
    Ok(count)
}

/// One at a time in this process: against another process that appends to the same file,
/// only the system could help.
pub(super) fn append(file: &File, bytes: &[u8]) -> Result<usize> {
    static END: Mutex<()> = Mutex::new(());
    let _end = END.lock().unwrap_or_else(PoisonError::into_inner);
    write_at(file, file.metadata()?.len(), bytes)
}

/// One buffer after the other; what comes after the first can't fail any more.
pub(super) fn read_vectored_at(file: &File, offset: u64, bufs: &mut [&mut [u8]]) -> Result<usize> {
    let mut done = 0;
    for buf in cut_mut(bufs, usize::MAX) {
        match read_at(file, offset.saturating_add(done as u64), buf) {
            Ok(read) => {
                done += read;
                if read < buf.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(code) => return Err(code),
        }
    }
    Ok(done)
}

pub(super) fn read_vectored_at_cached(
    _: &File,
    _: u64,
    _: &mut [&mut [u8]],
    _: usize,
) -> Option<Result<usize>> {
    None
}

/// Joined, up to this many bytes: so what is appended stays together.
const JOINED_MAX: usize = 1 << 20;

pub(super) fn write_vectored_at(
    file: &File,
    offset: u64,
    bufs: &[&[u8]],
    max: usize,
) -> Result<usize> {
    write_at(file, offset, &joined(bufs, max.min(JOINED_MAX)))
}

pub(super) fn append_vectored(file: &File, bufs: &[&[u8]], max: usize) -> Result<usize> {
    append(file, &joined(bufs, max.min(JOINED_MAX)))
}

pub(super) fn allocate(_: &File, _: u64, _: u64) -> Result<()> {
    Err(ErrorCode::Unsupported)
}

/// A directory that is being listed.
pub(super) struct Listing(ReadDir);

impl Listing {
    /// Entries that are taken at once.
    const ENOUGH: usize = 256;

    pub(super) fn open(dir: &Dir) -> Result<Self> {
        Ok(Self(dir.entries()?))
    }

    /// Adds entries to `batch`, and says whether there may be more.
    pub(super) fn more(&mut self, batch: &mut VecDeque<Result<DirectoryEntry>>) -> Result<bool> {
        while batch.len() < Self::ENOUGH {
            let Some(entry) = self.0.next() else {
                return Ok(false);
            };
            let entry = entry?;
            let file_type = entry.file_type().map(descriptor_type);
            batch.push_back(match entry.file_name().into_string() {
                Ok(name) => Ok(DirectoryEntry {
                    descriptor_type: file_type.unwrap_or_default(),
                    name,
                    inode: 0,
                }),
                Err(_) => Err(ErrorCode::IllegalByteSequence),
            });
        }
        Ok(true)
    }
}
