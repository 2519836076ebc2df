//! A directory that remembers what it was asked, and answers at once or later.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries, DirectoryEntry,
    ErrorCode, File, Object, OpenFlags, PathFlags, Result,
};
use wasi_io::{BoxFuture, Op};

/// Files by their names; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Vec<u8>>>>,
    calls: Vec<String>,
    later: bool,
    /// The most bytes of one read or write.
    step: Option<usize>,
    /// The operations on contents that still succeed.
    left: Option<usize>,
    /// An error that comes in a listing, before the entry with this number.
    bad_entry: Option<(usize, ErrorCode)>,
}

/// What is pending once.
struct Later<T>(Option<T>, bool);

impl<T: Unpin> Future for Later<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if !std::mem::replace(&mut self.1, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.take().expect("it is not polled once more"))
    }
}

fn later<T: Send + Unpin + 'static>(value: T) -> BoxFuture<T> {
    Box::pin(Later(Some(value), false))
}

impl Disk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) {
        let file = Arc::new(Mutex::new(bytes.to_vec()));
        self.state().files.insert(name.into(), file);
    }

    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        let file = self.state().files[name].clone();
        let contents = file.lock().unwrap();
        contents.clone()
    }

    /// Whether it answers later from now on.
    pub(crate) fn set_later(&self, later: bool) {
        self.state().later = later;
    }

    /// Moves no more than `bytes` in one operation.
    pub(crate) fn set_step(&self, bytes: usize) {
        self.state().step = Some(bytes);
    }

    /// All operations on contents but the next `operations` fail, and every `stat` after them.
    pub(crate) fn fail_after(&self, operations: usize) {
        self.state().left = Some(operations);
    }

    /// A listing has this error before its entry `number`.
    pub(crate) fn fail_listing(&self, number: usize, code: ErrorCode) {
        self.state().bad_entry = Some((number, code));
    }

    /// What it was asked since the last call of this.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    fn called(&self, call: impl Into<String>) {
        self.state().calls.push(call.into());
    }

    fn op<T: Send + Unpin + 'static>(&self, value: Result<T>) -> Op<Result<T>> {
        match self.state().later {
            true => Op::Pending(later(value)),
            false => Op::Ready(value),
        }
    }
}

fn stat(descriptor_type: DescriptorType, size: usize) -> DescriptorStat {
    DescriptorStat {
        descriptor_type,
        link_count: 1,
        size: size as u64,
        device: 7,
        inode: 77,
        ..DescriptorStat::default()
    }
}

impl Directory for Disk {
    fn open_at(
        &self,
        _: PathFlags,
        path: &str,
        _: OpenFlags,
        _: DescriptorFlags,
    ) -> Op<Result<Object>> {
        let file = self.state().files.get(path).cloned();
        let disk = self.clone();
        let file = file.map(|file| Object::File(Arc::new(Contents { disk, file })));
        match self.state().later {
            true => Op::Pending(Box::pin(async { file.ok_or(ErrorCode::NoEntry) })),
            false => Op::Ready(file.ok_or(ErrorCode::NoEntry)),
        }
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.called("stat");
        self.op(Ok(stat(DescriptorType::Directory, 0)))
    }

    fn stat_at(&self, _: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        let there = self.state().files.contains_key(path);
        let known = stat(DescriptorType::RegularFile, 0);
        self.op(there.then_some(known).ok_or(ErrorCode::NoEntry))
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        self.called("list");
        let entries: Box<dyn DirectoryEntries> = Box::new(Entries {
            disk: self.clone(),
            last: None,
            number: 0,
            failed: false,
            waited: false,
        });
        match self.state().later {
            true => Op::Pending(Box::pin(async { Ok(entries) })),
            false => Op::Ready(Ok(entries)),
        }
    }

    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        let removed = self.state().files.remove(path);
        self.op(removed.map(drop).ok_or(ErrorCode::NoEntry))
    }
}

/// A listing by name, which sees what happens behind where it is.
struct Entries {
    disk: Disk,
    last: Option<String>,
    number: usize,
    failed: bool,
    waited: bool,
}

impl DirectoryEntries for Entries {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        let mut state = self.disk.state();
        if state.later && !std::mem::replace(&mut self.waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        state.calls.push("next".into());
        if let Some((number, code)) = state.bad_entry
            && number == self.number
            && !std::mem::replace(&mut self.failed, true)
        {
            return Poll::Ready(Err(code));
        }
        self.number += 1;
        let mut names = state.files.keys();
        let next = names.find(|name| self.last.as_ref().is_none_or(|last| *name > last));
        self.last = next.cloned().or(self.last.take());
        Poll::Ready(Ok(next.map(|name| DirectoryEntry {
            descriptor_type: DescriptorType::RegularFile,
            name: name.clone(),
            inode: name.len() as u64,
        })))
    }
}

struct Contents {
    disk: Disk,
    file: Arc<Mutex<Vec<u8>>>,
}

impl Contents {
    /// How many of `len` bytes are moved; the call is told as `name offset lengths`.
    fn moves(&self, name: &str, offset: u64, lengths: &[usize]) -> Result<usize> {
        let mut state = self.disk.state();
        state.calls.push(format!("{name} {offset} {lengths:?}"));
        match &mut state.left {
            Some(0) => return Err(ErrorCode::Io),
            Some(left) => *left -= 1,
            None => {}
        }
        let len = lengths.iter().sum();
        Ok(state.step.map_or(len, |step| step.min(len)))
    }

    fn write(&self, name: &str, offset: Option<u64>, bufs: &[&[u8]]) -> Op<Result<usize>> {
        let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
        let moved = self.moves(name, offset.unwrap_or(0), &lengths);
        if let Ok(len) = moved {
            let mut contents = self.file.lock().unwrap();
            let at = offset.map_or(contents.len(), |offset| offset as usize);
            let size = contents.len().max(at + len);
            contents.resize(size, 0);
            contents[at..at + len].copy_from_slice(&bufs.concat()[..len]);
        }
        self.disk.op(moved)
    }
}

impl File for Contents {
    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.disk.called("stat");
        if self.disk.state().left == Some(0) {
            return Op::failed(ErrorCode::Io);
        }
        let size = self.file.lock().unwrap().len();
        self.disk.op(Ok(stat(DescriptorType::RegularFile, size)))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        self.read_vectored_at(offset, &mut [buf])
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
        let len = match self.moves("read", offset, &lengths) {
            Ok(len) => len,
            Err(code) => return Op::failed(code),
        };
        let contents = self.file.lock().unwrap();
        let from = contents.len().min(offset as usize);
        let bytes = &contents[from..contents.len().min(from + len)];
        if self.disk.state().later {
            return Op::Pending(later(Ok(Bytes::copy_from_slice(bytes))));
        }
        let mut rest = bytes;
        for buf in bufs {
            let (now, after) = rest.split_at(buf.len().min(rest.len()));
            buf[..now.len()].copy_from_slice(now);
            rest = after;
        }
        Op::Ready(Ok(bytes.len()))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        self.write("write", Some(offset), &[bytes])
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.write("append", None, &[bytes])
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.write("write", Some(offset), bufs)
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.write("append", None, bufs)
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        self.file.lock().unwrap().resize(size as usize, 0);
        self.disk.op(Ok(()))
    }
}
