//! What the checks do with a directory, and how they say what they saw.

use crate::backend::{Directory, DirectoryEntries, File, Object, Result};
use crate::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;
use wasi_io::Op;
use wasi_io::testkit::{Driver, Miss, wait};

pub(super) type Seen<T = ()> = core::result::Result<T, Miss>;

pub(super) const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub(super) const NO_FOLLOW: PathFlags = PathFlags::empty();
pub(super) const NONE: OpenFlags = OpenFlags::empty();
pub(super) const READ: DescriptorFlags = DescriptorFlags::READ;
pub(super) const BOTH: DescriptorFlags = DescriptorFlags::READ.union(DescriptorFlags::WRITE);

/// More names than any check makes in a directory.
const NAMES_MAX: usize = 1000;

/// A directory, and how to wait for it.
pub(super) struct Kit<'a> {
    pub(super) driver: &'a dyn Driver,
    pub(super) dir: Arc<dyn Directory>,
}

/// An error, where `what` was to succeed.
pub(super) fn broken<T>(what: &str, seen: impl Debug) -> Seen<T> {
    Err(Miss::Broken(format!("{what}: {seen:?}")))
}

/// That `what` gave what it should.
pub(super) fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Seen {
    match seen == expected {
        true => Ok(()),
        false => broken(what, format_args!("{seen:?}, not {expected:?}")),
    }
}

/// Bytes of which no two parts are alike.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}

impl<'a> Kit<'a> {
    pub(super) fn new(driver: &'a dyn Driver, dir: Arc<dyn Directory>) -> Self {
        Self { driver, dir }
    }

    /// What `op` gives in the end.
    pub(super) fn end<T: 'static>(&self, what: &str, op: Op<T>) -> Seen<T> {
        Ok(match op {
            Op::Ready(value) => value,
            Op::Pending(mut future) => wait(self.driver, what, |cx| future.as_mut().poll(cx))?,
        })
    }

    /// That `op` succeeds; nothing more is checked where it is unsupported.
    pub(super) fn ok<T: 'static>(&self, what: &str, op: Op<Result<T>>) -> Seen<T> {
        match self.end(what, op)? {
            Ok(value) => Ok(value),
            Err(ErrorCode::Unsupported) => Err(Miss::Skipped(format!("{what} is not supported"))),
            Err(code) => broken(what, code),
        }
    }

    /// That `op` fails with one of `codes`; nothing more is checked where it is unsupported.
    pub(super) fn fails<T: 'static>(
        &self,
        what: &str,
        op: Op<Result<T>>,
        codes: &[ErrorCode],
    ) -> Seen {
        match self.end(what, op)? {
            Err(code) if codes.contains(&code) => Ok(()),
            Err(ErrorCode::Unsupported) => Err(Miss::Skipped(format!("{what} is not supported"))),
            Err(code) => broken(what, format_args!("{code:?}, not one of {codes:?}")),
            Ok(_) => broken(what, format_args!("success, not {codes:?}")),
        }
    }

    pub(super) fn try_open(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Seen<Result<Object>> {
        let what = format!("opening {path:?}");
        let op = self.dir.open_at(path_flags, path, open_flags, flags);
        self.end(&what, op)
    }

    /// The file at `path`, made where it is not there.
    pub(super) fn file(&self, path: &str) -> Seen<Arc<dyn File>> {
        match self.try_open(FOLLOW, path, OpenFlags::CREATE, BOTH)? {
            Ok(Object::File(file)) => Ok(file),
            Ok(Object::Directory(_)) => broken(&format!("opening {path:?}"), "a directory"),
            Err(code) => broken(&format!("making the file {path:?}"), code),
        }
    }

    /// The directory at `path`.
    pub(super) fn below(&self, path: &str) -> Seen<Kit<'a>> {
        let flags = READ | DescriptorFlags::MUTATE_DIRECTORY;
        match self.try_open(FOLLOW, path, OpenFlags::DIRECTORY, flags)? {
            Ok(Object::Directory(dir)) => Ok(Kit::new(self.driver, dir)),
            Ok(Object::File(_)) => broken(&format!("opening the directory {path:?}"), "a file"),
            Err(code) => broken(&format!("opening the directory {path:?}"), code),
        }
    }

    pub(super) fn mkdir(&self, path: &str) -> Seen {
        let op = self.dir.create_directory_at(path);
        self.ok(&format!("making the directory {path:?}"), op)
    }

    pub(super) fn symlink(&self, target: &str, path: &str) -> Seen {
        let op = self.dir.symlink_at(target, path);
        self.ok(&format!("making the symbolic link {path:?}"), op)
    }

    pub(super) fn link(&self, old: &str, new: &str) -> Seen {
        let op = self.dir.link_at(NO_FOLLOW, old, &*self.dir, new);
        self.ok(&format!("linking {old:?} to {new:?}"), op)
    }

    pub(super) fn rename(&self, old: &str, new: &str) -> Seen {
        let op = self.dir.rename_at(old, &*self.dir, new);
        self.ok(&format!("renaming {old:?} to {new:?}"), op)
    }

    pub(super) fn unlink(&self, path: &str) -> Seen {
        let op = self.dir.unlink_file_at(path);
        self.ok(&format!("unlinking {path:?}"), op)
    }

    pub(super) fn rmdir(&self, path: &str) -> Seen {
        let op = self.dir.remove_directory_at(path);
        self.ok(&format!("removing the directory {path:?}"), op)
    }

    pub(super) fn readlink(&self, path: &str) -> Seen<String> {
        let op = self.dir.readlink_at(path);
        self.ok(&format!("reading the symbolic link {path:?}"), op)
    }

    pub(super) fn stat(&self, path_flags: PathFlags, path: &str) -> Seen<DescriptorStat> {
        let op = self.dir.stat_at(path_flags, path);
        self.ok(&format!("stat of {path:?}"), op)
    }

    /// That `path` leads to something of this kind.
    pub(super) fn is(&self, path_flags: PathFlags, path: &str, kind: DescriptorType) -> Seen {
        let stat = self.stat(path_flags, path)?;
        same(&format!("kind of {path:?}"), stat.descriptor_type, kind)
    }

    /// That nothing is at `path`.
    pub(super) fn gone(&self, path: &str) -> Seen {
        let op = self.dir.stat_at(NO_FOLLOW, path);
        self.fails(&format!("stat of {path:?}"), op, &[ErrorCode::NoEntry])
    }

    /// Makes a file with `bytes`, or writes them to the beginning of the one there.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Seen<Arc<dyn File>> {
        let file = self.file(path)?;
        self.write_at(&*file, 0, bytes)?;
        Ok(file)
    }

    pub(super) fn write_at(&self, file: &dyn File, offset: u64, bytes: &[u8]) -> Seen {
        let mut written = 0;
        while written < bytes.len() {
            let (at, rest) = (offset + written as u64, &bytes[written..]);
            let what = format!("writing {} bytes at {at}", rest.len());
            match self.end(&what, file.write_at(at, rest))? {
                Ok(n) if (1..=rest.len()).contains(&n) => written += n,
                seen => return broken(&what, seen),
            }
        }
        Ok(())
    }

    pub(super) fn append(&self, file: &dyn File, bytes: &[u8]) -> Seen {
        let what = format!("appending {} bytes", bytes.len());
        let op = file.append(bytes);
        let n = self.end(&what, op)?;
        same(&what, n, Ok(bytes.len()))
    }

    /// What one read gives.
    pub(super) fn try_read(
        &self,
        file: &dyn File,
        offset: u64,
        length: usize,
    ) -> Seen<Result<Vec<u8>>> {
        let what = format!("reading {length} bytes at {offset}");
        let mut buf = vec![0xaa; length];
        let read = match file.read_at(offset, &mut buf) {
            Op::Ready(Ok(n)) if n > length => return broken(&what, format_args!("{n} bytes")),
            Op::Ready(n) => n.map(|n| buf[..n].to_vec()),
            Op::Pending(mut future) => {
                let bytes = wait(self.driver, &what, |cx| future.as_mut().poll(cx))?;
                bytes.map(|bytes| bytes.to_vec())
            }
        };
        match &read {
            Ok(bytes) if bytes.len() > length => {
                broken(&what, format_args!("{} bytes", bytes.len()))
            }
            _ => Ok(read),
        }
    }

    /// Up to `length` bytes, less only at the end.
    pub(super) fn read_at(&self, file: &dyn File, offset: u64, length: usize) -> Seen<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < length {
            let (at, left) = (offset + all.len() as u64, length - all.len());
            match self.try_read(file, at, left)? {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => all.extend(bytes),
                Err(code) => return broken(&format!("reading {left} bytes at {at}"), code),
            }
        }
        Ok(all)
    }

    /// That the file at `path` has just these bytes.
    pub(super) fn has(&self, path: &str, bytes: &[u8]) -> Seen {
        match self.try_open(FOLLOW, path, NONE, READ)? {
            Ok(Object::File(file)) => self.contents(path, &*file, bytes),
            Ok(Object::Directory(_)) => broken(&format!("opening {path:?}"), "a directory"),
            Err(code) => broken(&format!("opening {path:?}"), code),
        }
    }

    pub(super) fn contents(&self, name: &str, file: &dyn File, bytes: &[u8]) -> Seen {
        let read = self.read_at(file, 0, bytes.len() + 1)?;
        if read == bytes {
            return Ok(());
        }
        let right = read.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        let (got, expected) = (read.len(), bytes.len());
        Err(Miss::Broken(format!(
            "{name:?} has {got} bytes instead of {expected}, the first {right} of them right"
        )))
    }

    pub(super) fn set_size(&self, file: &dyn File, size: u64) -> Seen {
        self.ok(&format!("setting the size to {size}"), file.set_size(size))
    }

    pub(super) fn entries(&self) -> Seen<Box<dyn DirectoryEntries>> {
        self.ok("reading the directory", self.dir.read_directory())
    }

    pub(super) fn next(&self, entries: &mut dyn DirectoryEntries) -> Seen<Option<DirectoryEntry>> {
        match wait(self.driver, "poll_next", |cx| entries.poll_next(cx))? {
            Ok(entry) => Ok(entry),
            Err(code) => broken("poll_next", code),
        }
    }

    /// The entries, by name; no more than `max` and one.
    pub(super) fn some(&self, max: usize) -> Seen<Vec<DirectoryEntry>> {
        let mut entries = self.entries()?;
        let mut all = Vec::new();
        while all.len() <= max
            && let Some(entry) = self.next(&mut *entries)?
        {
            all.push(entry);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// All entries of a directory that the checks made, by name.
    pub(super) fn list(&self) -> Seen<Vec<DirectoryEntry>> {
        let all = self.some(NAMES_MAX)?;
        match all.len() > NAMES_MAX {
            true => broken("a listing", "more entries than were made"),
            false => Ok(all),
        }
    }

    /// That there are just these names.
    pub(super) fn lists(&self, names: &[&str]) -> Seen {
        let all = self.list()?;
        let seen: Vec<_> = all.iter().map(|entry| &*entry.name).collect();
        same("names in the directory", &seen[..], names)
    }

    /// Removes `path` and what is in it, down to `levels` of directories.
    pub(super) fn remove(&self, path: &str, levels: usize) -> Seen {
        let stat = self.stat(NO_FOLLOW, path)?;
        if stat.descriptor_type != DescriptorType::Directory {
            return self.unlink(path);
        }
        let Some(levels) = levels.checked_sub(1) else {
            return broken(&format!("removing {path:?}"), "more levels than were made");
        };
        let below = self.below(path)?;
        for entry in below.list()? {
            below.remove(&entry.name, levels)?;
        }
        self.rmdir(path)
    }
}
