//! The kit names the guarantee that a backend breaks.

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries, DirectoryEntry,
    ErrorCode, File, NewTimestamp, Object, OpenFlags, PathFlags, Result, testkit, vfs,
};
use wasi_io::Op;
use wasi_io::testkit::AtOnce;

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    // Paths.
    AboveIsHere,
    IgnoresSlash,
    AlwaysFollows,
    NeverFollows,
    FewLinks,
    // Opening.
    NotExclusive,
    NeverTruncates,
    FileAsDirectory,
    DirectoryAsFile,
    CreatesDirectory,
    // Names.
    MakesTwice,
    UnlinksDirectories,
    RemovesFiles,
    RemovesFull,
    RenameCopies,
    RenameToItselfRemoves,
    RenameKeepsTarget,
    RenamesDots,
    AnywhereIsHere,
    LinksTargets,
    TidiesTargets,
    // What is known.
    OneLink,
    OneNumber,
    ForgetsTimes,
    // Listings.
    ListsDots,
    ListsTwice,
    ListsWrongKinds,
    ListsAHundred,
    ListsAgain,
    ListsBackwards,
    // Files.
    OffByOne,
    ReadsOldBytes,
    ReadsAfterEnd,
    EndIsError,
    AppendsWhereItWas,
    KeepsWhatIsCut,
    NoLimits,
    WritesWhenPolled,
    UnlinkCloses,
    NothingExtends,
    // Several buffers.
    FillsTheFirst,
    WritesBackwards,
    AppendsSeveralWhereItWas,
    EmptyIsInvalid,
    NoLimitsForSeveral,
    SeveralWhenPolled,
    // Room.
    AllocateCuts,
    AllocateClears,
    AllocateLeavesSize,
    AllocateNoLimits,
}

struct Faulty {
    inner: Arc<dyn Directory>,
    fault: Fault,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn path<'a>(&self, path: &'a str) -> &'a str {
        let path = match self.fault {
            Fault::AboveIsHere => path.trim_start_matches("../"),
            Fault::IgnoresSlash => path.trim_end_matches('/'),
            _ => path,
        };
        match path {
            ".." if self.has(Fault::AboveIsHere) => ".",
            "" => ".",
            path => path,
        }
    }

    fn flags(&self, flags: PathFlags) -> PathFlags {
        match self.fault {
            Fault::AlwaysFollows => PathFlags::SYMLINK_FOLLOW,
            Fault::NeverFollows => PathFlags::empty(),
            _ => flags,
        }
    }

    fn stat_of(&self, stat: Op<Result<DescriptorStat>>) -> Op<Result<DescriptorStat>> {
        let fault = self.fault;
        stat.map(move |stat| stat.map(|stat| seen(fault, stat)))
    }

    fn inner<'a>(&self, new: &'a dyn Directory) -> &'a dyn Directory {
        let any: &dyn Any = new;
        any.downcast_ref::<Self>().map_or(new, |new| &*new.inner)
    }

    fn is_empty(&self, path: &str) -> bool {
        let stat = now(self.inner.stat_at(PathFlags::empty(), path));
        stat.is_ok_and(|stat| stat.descriptor_type != DescriptorType::Directory)
    }
}

fn seen(fault: Fault, mut stat: DescriptorStat) -> DescriptorStat {
    match fault {
        Fault::OneLink => stat.link_count = 1,
        Fault::OneNumber => stat.inode = 1,
        _ => {}
    }
    stat
}

fn now<T>(op: Op<T>) -> T {
    match op {
        Op::Ready(value) => value,
        Op::Pending(_) => unreachable!(),
    }
}

impl Directory for Faulty {
    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        mut open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        let fault = self.fault;
        if fault == Fault::FewLinks && path == "40" {
            return Op::failed(ErrorCode::Loop);
        }
        open_flags -= match fault {
            Fault::NotExclusive => OpenFlags::EXCLUSIVE,
            Fault::NeverTruncates => OpenFlags::TRUNCATE,
            Fault::FileAsDirectory => OpenFlags::DIRECTORY,
            Fault::CreatesDirectory if open_flags.contains(OpenFlags::DIRECTORY) => {
                OpenFlags::CREATE
            }
            _ => OpenFlags::empty(),
        };
        let path_flags = self.flags(path_flags);
        let mut opened = now(self
            .inner
            .open_at(path_flags, self.path(path), open_flags, flags));
        if fault == Fault::DirectoryAsFile && matches!(opened, Err(ErrorCode::IsDirectory)) {
            let (open_flags, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
            opened = now(self.inner.open_at(path_flags, path, open_flags, flags));
        }
        Op::Ready(opened.map(|object| match object {
            Object::Directory(inner) => Object::Directory(Arc::new(Self { inner, fault })),
            Object::File(inner) => {
                let size = now(inner.stat()).unwrap().size;
                let mut old = vec![0; 100];
                let n = now_read(&*inner, 0, &mut old).unwrap();
                old.truncate(n);
                Object::File(Arc::new(FaultyFile {
                    inner: inner.clone(),
                    fault,
                    size,
                    old,
                }))
            }
        }))
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.stat_of(self.inner.stat())
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.stat_of(self.inner.stat_at(self.flags(path_flags), self.path(path)))
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        let mut entries = now(self.inner.read_directory()).unwrap();
        let mut all = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Ok(Some(mut entry))) = entries.poll_next(&mut cx) {
            if self.has(Fault::ListsWrongKinds) {
                entry.descriptor_type = DescriptorType::RegularFile;
            }
            if self.has(Fault::ListsTwice) && all.is_empty() {
                all.push(entry.clone());
            }
            all.push(entry);
        }
        match self.fault {
            Fault::ListsAHundred => all.truncate(100),
            Fault::ListsDots => all.push(DirectoryEntry {
                descriptor_type: DescriptorType::Directory,
                name: ".".into(),
                inode: 0,
            }),
            _ => {}
        }
        let fault = self.fault;
        let dir = self.inner.clone();
        Op::Ready(Ok(Box::new(FaultyEntries {
            all,
            next: 0,
            fault,
            dir,
        })))
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        self.inner.readlink_at(self.path(path))
    }

    fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        match now(self.inner.create_directory_at(self.path(path))) {
            Err(ErrorCode::Exist) if self.has(Fault::MakesTwice) => Op::Ready(Ok(())),
            made => Op::Ready(made),
        }
    }

    fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        let old_path = match self.fault {
            Fault::TidiesTargets => old_path.trim_end_matches('/'),
            _ => old_path,
        };
        self.inner.symlink_at(old_path, self.path(new_path))
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &dyn Directory,
        new_path: &str,
    ) -> Op<Result<()>> {
        let flags = match self.fault {
            Fault::LinksTargets => PathFlags::SYMLINK_FOLLOW,
            _ => old_path_flags,
        };
        let new = self.inner(new);
        self.inner
            .link_at(flags, self.path(old_path), new, self.path(new_path))
    }

    fn rename_at(&self, old_path: &str, new: &dyn Directory, new_path: &str) -> Op<Result<()>> {
        let inner = self.inner(new);
        match self.fault {
            Fault::RenameCopies if self.is_empty(old_path) => {
                self.inner
                    .link_at(PathFlags::empty(), old_path, inner, new_path)
            }
            Fault::RenameToItselfRemoves if old_path == new_path => {
                self.inner.unlink_file_at(old_path)
            }
            Fault::RenameKeepsTarget
                if now(inner.stat_at(PathFlags::empty(), new_path)).is_ok() =>
            {
                Op::failed(ErrorCode::Exist)
            }
            Fault::RenamesDots if old_path == "dir/." => {
                self.inner.rename_at("dir", inner, new_path)
            }
            Fault::AnywhereIsHere => match now(self.inner.rename_at(old_path, inner, new_path)) {
                Err(ErrorCode::CrossDevice) => Op::failed(ErrorCode::NoEntry),
                renamed => Op::Ready(renamed),
            },
            _ => self
                .inner
                .rename_at(self.path(old_path), inner, self.path(new_path)),
        }
    }

    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        match now(self.inner.unlink_file_at(self.path(path))) {
            Err(ErrorCode::IsDirectory) if self.has(Fault::UnlinksDirectories) => {
                self.inner.remove_directory_at(path)
            }
            unlinked => Op::Ready(unlinked),
        }
    }

    fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        match now(self.inner.remove_directory_at(self.path(path))) {
            Err(ErrorCode::NotDirectory) if self.has(Fault::RemovesFiles) => {
                self.inner.unlink_file_at(path)
            }
            Err(ErrorCode::NotEmpty) if self.has(Fault::RemovesFull) => Op::Ready(Ok(())),
            removed => Op::Ready(removed),
        }
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        match self.fault {
            Fault::ForgetsTimes => Op::Ready(Ok(())),
            _ => self.inner.set_times(access, modification),
        }
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        let path = self.path(path);
        self.inner
            .set_times_at(path_flags, path, access, modification)
    }
}

struct FaultyEntries {
    all: Vec<DirectoryEntry>,
    next: usize,
    fault: Fault,
    dir: Arc<dyn Directory>,
}

impl DirectoryEntries for FaultyEntries {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        if self.fault == Fault::ListsBackwards && self.next == 100 {
            // Begins anew where the directory has changed meanwhile.
            if now(self.dir.stat_at(PathFlags::empty(), "new-001")).is_ok() {
                self.next = 0;
            }
        }
        let entry = self.all.get(self.next).cloned();
        self.next += 1;
        if entry.is_none() && self.fault == Fault::ListsAgain {
            self.next = 0;
        }
        Poll::Ready(Ok(entry))
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    fault: Fault,
    /// What it had when it was opened.
    size: u64,
    old: Vec<u8>,
}

fn now_read(file: &dyn File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    match file.read_at(offset, buf) {
        Op::Ready(n) => n,
        Op::Pending(_) => unreachable!(),
    }
}

impl File for FaultyFile {
    fn stat(&self) -> Op<Result<DescriptorStat>> {
        let fault = self.fault;
        self.inner
            .stat()
            .map(move |stat| stat.map(|stat| seen(fault, stat)))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        let stat = now(self.inner.stat()).unwrap();
        match self.fault {
            Fault::OffByOne if offset > 0 => self.inner.read_at(offset - 1, buf),
            Fault::ReadsOldBytes if offset == 0 && !self.old.is_empty() => {
                let n = buf.len().min(self.old.len());
                buf[..n].copy_from_slice(&self.old[..n]);
                Op::Ready(Ok(n))
            }
            Fault::ReadsAfterEnd if offset > stat.size => {
                buf.fill(0);
                Op::Ready(Ok(buf.len()))
            }
            Fault::EndIsError if offset >= stat.size => Op::failed(ErrorCode::InvalidSeek),
            Fault::UnlinkCloses if stat.link_count == 0 => Op::failed(ErrorCode::BadDescriptor),
            _ => self.inner.read_at(offset, buf),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        match self.fault {
            Fault::NoLimits if offset >= 1 << 63 => Op::Ready(Ok(bytes.len())),
            Fault::WritesWhenPolled => {
                let (file, bytes) = (self.inner.clone(), bytes.to_vec());
                Op::Pending(Box::pin(async move {
                    file.write_at(offset, &bytes).finish().await
                }))
            }
            Fault::NothingExtends if bytes.is_empty() && offset < 1 << 32 => {
                let size = now(self.inner.stat()).unwrap().size;
                now(self.inner.set_size(size.max(offset))).unwrap();
                Op::Ready(Ok(0))
            }
            _ => self.inner.write_at(offset, bytes),
        }
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        match self.fault {
            Fault::AppendsWhereItWas => self.inner.write_at(self.size, bytes),
            _ => self.inner.append(bytes),
        }
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        let size = now(self.inner.stat()).unwrap().size;
        let length = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        match self.fault {
            Fault::FillsTheFirst if offset < size && length > 0 => {
                now_read(&*self.inner, offset, bufs[0]).unwrap();
                Op::Ready(Ok(length.min((size - offset) as usize)))
            }
            Fault::EmptyIsInvalid if length == 0 => Op::failed(ErrorCode::Invalid),
            _ => self.inner.read_vectored_at(offset, bufs),
        }
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        match self.fault {
            Fault::WritesBackwards => {
                let bufs: Vec<_> = bufs.iter().rev().copied().collect();
                self.inner.write_vectored_at(offset, &bufs)
            }
            Fault::NoLimitsForSeveral if offset >= 1 << 63 => Op::Ready(Ok(1)),
            Fault::SeveralWhenPolled => {
                let (file, bytes) = (self.inner.clone(), bufs.concat());
                Op::Pending(Box::pin(async move {
                    file.write_at(offset, &bytes).finish().await
                }))
            }
            _ => self.inner.write_vectored_at(offset, bufs),
        }
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        match self.fault {
            Fault::AppendsSeveralWhereItWas => self.inner.write_vectored_at(self.size, bufs),
            _ => self.inner.append_vectored(bufs),
        }
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        let size = now(self.inner.stat()).unwrap().size;
        let end = offset.saturating_add(length);
        match self.fault {
            Fault::AllocateCuts => self.inner.set_size(end),
            Fault::AllocateClears if end < 1 << 20 => {
                let zeros = vec![0; length as usize];
                self.inner
                    .write_at(offset, &zeros)
                    .map(|written| written.map(drop))
            }
            Fault::AllocateLeavesSize if end < 1 << 20 => {
                self.inner.allocate(offset, length).and_then({
                    let file = self.inner.clone();
                    move |()| file.set_size(size)
                })
            }
            Fault::AllocateNoLimits if end >= 1 << 63 => Op::Ready(Ok(())),
            _ => self.inner.allocate(offset, length),
        }
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        let stat = now(self.inner.stat()).unwrap();
        match self.fault {
            Fault::KeepsWhatIsCut if size < stat.size && size > 0 => {
                // The bytes are where they were when it grows again.
                let mut kept = vec![0; 10_000];
                let n = now_read(&*self.inner, 0, &mut kept).unwrap();
                let cut = self.inner.set_size(size);
                now(self.inner.write_at(0, &kept[..n.min(size as usize + 1)])).unwrap();
                cut
            }
            _ => self.inner.set_size(size),
        }
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        match self.fault {
            Fault::ForgetsTimes => Op::Ready(Ok(())),
            _ => self.inner.set_times(access, modification),
        }
    }
}

/// The guarantees that are reported as broken.
fn broken(fault: Fault) -> Vec<&'static str> {
    let fs = MemFs::new(Arc::new(ManualClock::default()));
    let inner = vfs::directory(Arc::new(fs));
    let report = testkit::run(&AtOnce, Arc::new(Faulty { inner, fault }));
    report.failures().map(|(name, _)| name).collect()
}

#[test]
fn a_backend_without_a_fault_passes() {
    assert_eq!(broken(Fault::None), [""; 0]);
}

#[test]
fn a_broken_guarantee_is_reported_by_its_name() {
    use Fault::*;
    for (fault, name) in [
        (
            AboveIsHere,
            "no path leads above the directory: not-permitted",
        ),
        (
            IgnoresSlash,
            "a path with a `/` at its end is a directory, or not-directory",
        ),
        (
            AlwaysFollows,
            "a symbolic link at the end is followed only where that is asked for",
        ),
        (NeverFollows, "symbolic links are followed"),
        (
            FewLinks,
            "40 symbolic links are followed, and one more is a loop",
        ),
        (
            NotExclusive,
            "exclusive creation fails where anything is: exist",
        ),
        (NeverTruncates, "truncation cuts a file to nothing"),
        (
            FileAsDirectory,
            "a file can't be opened as a directory: not-directory",
        ),
        (
            DirectoryAsFile,
            "a directory can't be opened as a file: is-directory",
        ),
        (CreatesDirectory, "making a directory by opening is invalid"),
        (
            MakesTwice,
            "a directory is made where nothing is, else exist",
        ),
        (
            UnlinksDirectories,
            "a directory is not unlinked: is-directory",
        ),
        (
            RemovesFiles,
            "what is no directory is not removed as one: not-directory",
        ),
        (
            RemovesFull,
            "only an empty directory is removed, else not-empty",
        ),
        (RenameCopies, "a rename moves files and directories"),
        (
            RenameToItselfRemoves,
            "a rename to the same name changes nothing",
        ),
        (
            RenameKeepsTarget,
            "a rename puts a file in the place of another, which lives on while it is open",
        ),
        (RenamesDots, "`.` and `..` are not renamed: busy"),
        (
            AnywhereIsHere,
            "renames and links to another filesystem are cross-device",
        ),
        (
            LinksTargets,
            "a hard link is to a symbolic link or to its target, as asked for",
        ),
        (
            TidiesTargets,
            "a symbolic link gives its target back as it was made",
        ),
        (OneLink, "a hard link is another name of the same file"),
        (OneNumber, "different objects have different numbers"),
        (ForgetsTimes, "times are set, also those of directories"),
        (ListsDots, "an empty directory lists nothing"),
        (
            ListsTwice,
            "a listing has every name once, with its kind and number",
        ),
        (
            ListsWrongKinds,
            "a listing has every name once, with its kind and number",
        ),
        (ListsAHundred, "a long listing is complete"),
        (ListsAgain, "a listing that has ended stays so"),
        (
            ListsBackwards,
            "what stays is listed once, whatever comes and goes",
        ),
        (OffByOne, "what was written is read, from any offset"),
        (
            ReadsOldBytes,
            "two who have a file open see each other's bytes at once",
        ),
        (
            ReadsAfterEnd,
            "the end is no bytes, and so is what comes after it",
        ),
        (
            EndIsError,
            "the end is no bytes, and so is what comes after it",
        ),
        (
            AppendsWhereItWas,
            "what is appended goes to the end, whoever extended it",
        ),
        (KeepsWhatIsCut, "a file is cut, and extended with zeros"),
        (
            NoLimits,
            "offsets and sizes beyond all files are errors: file-too-large",
        ),
        (
            WritesWhenPolled,
            "a write goes on where nobody waits for it",
        ),
        (
            UnlinkCloses,
            "an unlinked file is gone, and lives on while it is open",
        ),
        (NothingExtends, "a write of no bytes writes nothing"),
        (FillsTheFirst, "several buffers are filled as one would be"),
        (
            WritesBackwards,
            "several buffers are written as one would be, at any offset",
        ),
        (
            AppendsSeveralWhereItWas,
            "several buffers are appended as one would be, whoever extended the file",
        ),
        (
            EmptyIsInvalid,
            "buffers without a byte read and write nothing",
        ),
        (
            NoLimitsForSeveral,
            "several buffers beyond all files are an error: file-too-large",
        ),
        (
            SeveralWhenPolled,
            "a write of several buffers goes on where nobody waits for it",
        ),
        (
            AllocateCuts,
            "allocating extends with zeros, and changes no byte and no greater size",
        ),
        (
            AllocateClears,
            "allocating extends with zeros, and changes no byte and no greater size",
        ),
        (
            AllocateLeavesSize,
            "allocating extends with zeros, and changes no byte and no greater size",
        ),
        (
            AllocateNoLimits,
            "room beyond all files is an error: file-too-large",
        ),
    ] {
        let reported = broken(fault);
        assert!(reported.contains(&name), "{fault:?}: {reported:#?}");
    }
}
