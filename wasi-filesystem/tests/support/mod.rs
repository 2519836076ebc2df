//! A filesystem that does what a test says: answers at once or later, in small steps, with
//! errors, and remembers what it was asked.
#![allow(dead_code, reason = "each test uses a part")]

use bytes::Bytes;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use wasi_filesystem::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries,
    DirectoryEntry, ErrorCode, File, NewTimestamp, Object, OpenFlags, PathFlags, Result,
    WasiFilesystemCtx,
};
use wasi_io::Op;

/// All that tests and files share.
#[derive(Default)]
pub(crate) struct Disk {
    files: Mutex<BTreeMap<String, Arc<Node>>>,
    /// The operations that it was asked for, by name.
    pub(crate) calls: Mutex<Vec<String>>,
    /// Whether operations on contents wait for [`Disk::proceed`].
    pub(crate) later: AtomicBool,
    /// Whether every other of these waits.
    pub(crate) by_turns: AtomicBool,
    /// Whether the answer to stat comes later, that is, in these tests never.
    pub(crate) stat_later: AtomicBool,
    /// The most bytes of one read or write; 0 is without a limit.
    pub(crate) step: AtomicUsize,
    /// What operations on contents fail with.
    pub(crate) fails: Mutex<Option<ErrorCode>>,
    pub(crate) read_only: AtomicBool,
    pub(crate) reads: AtomicUsize,
    waiting: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

struct Node {
    inode: u64,
    kind: DescriptorType,
    bytes: Mutex<Vec<u8>>,
}

/// A directory with all of the disk's files; paths are names.
pub(crate) struct Folder(pub(crate) Arc<Disk>);

pub(crate) struct Contents {
    disk: Arc<Disk>,
    node: Arc<Node>,
}

impl Disk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) {
        self.add_kind(name, DescriptorType::RegularFile, bytes);
    }

    pub(crate) fn add_kind(&self, name: &str, kind: DescriptorType, bytes: &[u8]) {
        let mut files = self.files.lock().unwrap();
        let node = Arc::new(Node {
            inode: files.len() as u64 + 10,
            kind,
            bytes: Mutex::new(bytes.to_vec()),
        });
        files.insert(name.into(), node);
    }

    /// Another name for a file.
    pub(crate) fn link(&self, old: &str, new: &str) {
        let mut files = self.files.lock().unwrap();
        let node = files[old].clone();
        files.insert(new.into(), node);
    }

    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        let node = self.files.lock().unwrap()[name].clone();
        node.bytes.lock().unwrap().clone()
    }

    pub(crate) fn ctx(self: &Arc<Self>) -> WasiFilesystemCtx {
        WasiFilesystemCtx::new().preopen(Arc::new(Folder(self.clone())), "/")
    }

    /// The preopened directory of a guest with `ctx`.
    pub(crate) fn root(mut ctx: WasiFilesystemCtx) -> Descriptor {
        ctx.get_directories().remove(0).0
    }

    /// Does what waits, and says how much it was.
    pub(crate) fn proceed(&self) -> usize {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        let count = waiting.len();
        waiting.into_iter().for_each(|job| job());
        count
    }

    pub(crate) fn called(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn call(&self, name: &str) {
        self.calls.lock().unwrap().push(name.into());
    }

    fn step(&self, len: usize) -> usize {
        match self.step.load(SeqCst) {
            0 => len,
            step => len.min(step),
        }
    }

    /// `job` now, or once the test lets it: with what it gives then.
    fn at_once_or_later<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        if let Some(code) = *self.fails.lock().unwrap() {
            return Op::failed(code);
        }
        let turn = self.by_turns.load(SeqCst);
        if !self.later.fetch_xor(turn, SeqCst) {
            return Op::Ready(job());
        }
        // As futures do, it remembers the last task alone.
        let shared = Arc::new(Mutex::new((None, Waker::noop().clone())));
        let to_do = shared.clone();
        self.waiting.lock().unwrap().push(Box::new(move || {
            let mut shared = to_do.lock().unwrap();
            shared.0 = Some(job());
            shared.1.wake_by_ref();
        }));
        Op::Pending(Box::pin(poll_fn(move |cx| {
            let mut shared = shared.lock().unwrap();
            shared.1.clone_from(cx.waker());
            shared.0.take().map_or(Poll::Pending, Poll::Ready)
        })))
    }
}

impl Node {
    fn stat(&self) -> DescriptorStat {
        DescriptorStat {
            descriptor_type: self.kind,
            link_count: 1,
            size: self.bytes.lock().unwrap().len() as u64,
            device: 1,
            inode: self.inode,
            ..DescriptorStat::default()
        }
    }

    fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<usize> {
        let mut contents = self.bytes.lock().unwrap();
        let offset = offset.map_or(Some(contents.len()), |offset| usize::try_from(offset).ok());
        let end = offset.and_then(|offset| offset.checked_add(bytes.len()));
        let (Some(offset), Some(end)) = (offset, end.filter(|end| *end < 1 << 30)) else {
            return Err(ErrorCode::FileTooLarge);
        };
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[offset..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl File for Contents {
    fn descriptor_type(&self) -> DescriptorType {
        self.node.kind
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.disk.call("stat");
        match self.disk.stat_later.load(SeqCst) {
            true => Op::Pending(Box::pin(core::future::pending())),
            false => Op::Ready(Ok(self.node.stat())),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        assert!(!buf.is_empty(), "an empty buffer reached the backend");
        self.disk.reads.fetch_add(1, SeqCst);
        if offset > i64::MAX as u64 {
            return Op::failed(ErrorCode::Invalid);
        }
        let (node, len) = (self.node.clone(), self.disk.step(buf.len()));
        let read = self.disk.at_once_or_later(move || {
            let bytes = node.bytes.lock().unwrap();
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            Ok(Bytes::copy_from_slice(&rest[..len.min(rest.len())]))
        });
        match read {
            Op::Pending(future) => Op::Pending(future),
            Op::Ready(read) => Op::Ready(read.map(|bytes| {
                buf[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            })),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        assert!(!bytes.is_empty(), "a write of nothing reached the backend");
        self.disk.call("write-at");
        let node = self.node.clone();
        let bytes = bytes[..self.disk.step(bytes.len())].to_vec();
        self.disk
            .at_once_or_later(move || node.write(Some(offset), &bytes))
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.disk.call("append");
        let node = self.node.clone();
        let bytes = bytes[..self.disk.step(bytes.len())].to_vec();
        self.disk.at_once_or_later(move || node.write(None, &bytes))
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        self.disk.call("set-size");
        let node = self.node.clone();
        self.disk.at_once_or_later(move || {
            node.bytes.lock().unwrap().resize(size as usize, 0);
            Ok(())
        })
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        self.disk.call("allocate");
        let node = self.node.clone();
        self.disk.at_once_or_later(move || {
            let end = (offset + length) as usize;
            let mut bytes = node.bytes.lock().unwrap();
            let size = bytes.len().max(end);
            bytes.resize(size, 0);
            Ok(())
        })
    }

    fn set_times(&self, _: NewTimestamp, _: NewTimestamp) -> Op<Result<()>> {
        self.disk.call("set-times");
        Op::Ready(Ok(()))
    }

    fn sync(&self) -> Op<Result<()>> {
        self.disk.call("sync");
        self.disk.at_once_or_later(|| Ok(()))
    }

    fn sync_data(&self) -> Op<Result<()>> {
        self.disk.call("sync-data");
        self.disk.at_once_or_later(|| Ok(()))
    }
}

impl Folder {
    fn done<T>(&self, name: &str, value: T) -> Op<Result<T>> {
        self.0.call(name);
        Op::Ready(Ok(value))
    }
}

impl Directory for Folder {
    fn is_read_only(&self) -> bool {
        self.0.read_only.load(SeqCst)
    }

    fn open_at(
        &self,
        _: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        self.0.call(&format!("open-at {open_flags:?} {flags:?}"));
        if path == "." {
            return Op::Ready(Ok(Object::Directory(Arc::new(Folder(self.0.clone())))));
        }
        if path == "frozen" {
            let frozen = Disk::new();
            frozen.read_only.store(true, SeqCst);
            return Op::Ready(Ok(Object::Directory(Arc::new(Folder(frozen)))));
        }
        let mut found = self.0.files.lock().unwrap().get(path).cloned();
        if found.is_none() && open_flags.contains(OpenFlags::CREATE) {
            self.0.add(path, b"");
            found = self.0.files.lock().unwrap().get(path).cloned();
        }
        let Some(node) = found else {
            return Op::failed(ErrorCode::NoEntry);
        };
        if open_flags.contains(OpenFlags::TRUNCATE) {
            node.bytes.lock().unwrap().clear();
        }
        let disk = self.0.clone();
        self.0
            .at_once_or_later(move || Ok(Object::File(Arc::new(Contents { disk, node }))))
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::Ready(Ok(DescriptorStat {
            descriptor_type: DescriptorType::Directory,
            device: 1,
            inode: 1,
            ..DescriptorStat::default()
        }))
    }

    fn stat_at(&self, _: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.0.call("stat-at");
        match self.0.files.lock().unwrap().get(path) {
            Some(node) => Op::Ready(Ok(node.stat())),
            None => Op::failed(ErrorCode::NoEntry),
        }
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        let entries = self.0.files.lock().unwrap();
        let entries: Vec<_> = entries.keys().rev().cloned().collect();
        self.done("read-directory", Box::new(Names(entries)))
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        // What a link holds is its name here.
        self.done("readlink-at", path.replace('!', "/"))
    }

    fn create_directory_at(&self, _: &str) -> Op<Result<()>> {
        self.done("create-directory-at", ())
    }

    fn symlink_at(&self, _: &str, _: &str) -> Op<Result<()>> {
        self.done("symlink-at", ())
    }

    fn link_at(&self, _: PathFlags, _: &str, _: &dyn Directory, _: &str) -> Op<Result<()>> {
        self.done("link-at", ())
    }

    fn rename_at(&self, _: &str, _: &dyn Directory, _: &str) -> Op<Result<()>> {
        self.done("rename-at", ())
    }

    fn unlink_file_at(&self, _: &str) -> Op<Result<()>> {
        self.done("unlink-file-at", ())
    }

    fn remove_directory_at(&self, _: &str) -> Op<Result<()>> {
        self.done("remove-directory-at", ())
    }

    fn set_times(&self, _: NewTimestamp, _: NewTimestamp) -> Op<Result<()>> {
        self.done("set-times", ())
    }

    fn set_times_at(
        &self,
        _: PathFlags,
        _: &str,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Op<Result<()>> {
        self.done("set-times-at", ())
    }

    fn sync(&self) -> Op<Result<()>> {
        self.done("sync", ())
    }
}

struct Names(Vec<String>);

impl DirectoryEntries for Names {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        Poll::Ready(Ok(self.0.pop().map(|name| DirectoryEntry {
            descriptor_type: DescriptorType::RegularFile,
            name,
            inode: 0,
        })))
    }
}

/// What an operation that is done at once gives.
#[track_caller]
pub(crate) fn now<T, L>(op: Op<Result<T>, L>) -> Result<T> {
    match op {
        Op::Ready(result) => result,
        Op::Pending(_) => panic!("it is not done at once"),
    }
}

#[track_caller]
pub(crate) fn open(dir: &Descriptor, name: &str, flags: DescriptorFlags) -> Descriptor {
    now(dir.open_at(PathFlags::empty(), name, OpenFlags::empty(), flags)).unwrap()
}
