//! A disk in memory that can fail, and operations on files.
#![allow(dead_code, unreachable_pub)]

use agave_volume::{Disk, DiskError, FatVolume, REQUEST_MAX, SECTOR};
use hadris_fat::sync::{check, format};
use hadris_fat::{FatKind, FatOptions};
use hadris_storage::{BlockSize, MemDevice};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, Directory, DirectoryEntry, File, Object, OpenFlags, PathFlags,
    Result, vfs,
};
use wasi_io::Op;
use wasi_types::Datetime;

pub const READ: DescriptorFlags = DescriptorFlags::READ;
pub const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
pub const BOTH: DescriptorFlags = READ.union(WRITE);
pub const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub const CREATE: OpenFlags = OpenFlags::CREATE;
pub const EXISTING: OpenFlags = OpenFlags::empty();

pub const KINDS: [FatKind; 3] = [FatKind::Fat12, FatKind::Fat16, FatKind::Fat32];

/// What goes wrong with a disk.
#[derive(Clone, Copy, Debug, Default)]
pub enum Fault {
    #[default]
    None,
    /// The request of this number fails.
    Request(u64),
    /// From the write of this number on nothing arrives, and all requests fail.
    PowerCut(u64),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct RamDisk(Arc<Mutex<Medium>>);

#[derive(Default)]
pub struct Medium {
    pub bytes: Vec<u8>,
    pub read_only: bool,
    pub fault: Fault,
    pub requests: u64,
    pub writes: u64,
    pub flushes: u64,
}

impl Medium {
    fn request(&mut self) -> Result<(), DiskError> {
        self.requests += 1;
        match self.fault {
            Fault::Request(number) if number == self.requests => Err(DiskError::Failed),
            Fault::PowerCut(number) if number <= self.writes => Err(DiskError::Failed),
            _ => Ok(()),
        }
    }
}

impl RamDisk {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Medium {
            bytes,
            ..Medium::default()
        })))
    }

    /// An empty filesystem.
    pub fn formatted(kind: FatKind) -> Self {
        let (mib, cluster) = match kind {
            FatKind::Fat12 => (4, 2048),
            FatKind::Fat16 => (8, 1024),
            _ => (40, 512),
        };
        Self::made(mib << 20, cluster, kind)
    }

    pub fn made(bytes: usize, cluster: u32, kind: FatKind) -> Self {
        let sector = BlockSize::new(SECTOR as u32).unwrap();
        let mut device = MemDevice::new(vec![0; bytes], sector);
        let options = FatOptions::new().with_kind(kind).with_cluster_size(cluster);
        format(&mut device, &options).unwrap();
        Self::new(device.into_inner())
    }

    pub fn medium(&self) -> MutexGuard<'_, Medium> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// As a machine would find it that starts now: another disk with the same bytes.
    pub fn copy(&self) -> Self {
        Self::new(self.medium().bytes.clone())
    }

    pub fn mount(&self) -> Arc<FatVolume> {
        Arc::new(FatVolume::mount(self.clone(), Arc::new(clock())).unwrap())
    }

    /// What is wrong with the filesystem.
    pub fn findings(&self) -> Vec<String> {
        let sector = BlockSize::new(SECTOR as u32).unwrap();
        let mut device = MemDevice::new(self.medium().bytes.clone(), sector);
        let mut findings = Vec::new();
        let mut scratch = vec![0; 1 << 16];
        check(&mut device, &mut scratch, |finding| {
            findings.push(finding.to_string())
        })
        .unwrap();
        findings
    }
}

impl Disk for RamDisk {
    fn sectors(&self) -> u64 {
        (self.medium().bytes.len() / SECTOR) as u64
    }

    fn is_read_only(&self) -> bool {
        self.medium().read_only
    }

    fn read(&mut self, first: u64, buf: &mut [u8]) -> Result<(), DiskError> {
        let mut medium = self.medium();
        medium.request()?;
        let at = range(first, buf.len());
        buf.copy_from_slice(&medium.bytes[at]);
        Ok(())
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut medium = self.medium();
        if medium.read_only {
            return Err(DiskError::ReadOnly);
        }
        medium.writes += 1;
        medium.request()?;
        medium.bytes[range(first, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let mut medium = self.medium();
        medium.request()?;
        medium.flushes += 1;
        Ok(())
    }
}

/// What the volume promises of every request is checked here.
fn range(first: u64, length: usize) -> std::ops::Range<usize> {
    assert!((SECTOR..=REQUEST_MAX).contains(&length) && length.is_multiple_of(SECTOR));
    let start = usize::try_from(first).unwrap() * SECTOR;
    start..start + length
}

/// 2026-01-02 03:04:05.
pub fn clock() -> ManualClock {
    ManualClock::new(Datetime::new(1_767_323_045, 123).unwrap())
}

pub fn done<T>(op: Op<T>) -> T {
    match op {
        Op::Ready(value) => value,
        Op::Pending(_) => panic!("a volume leaves nothing for later"),
    }
}

pub fn root(volume: &Arc<FatVolume>) -> Arc<dyn Directory> {
    vfs::directory(volume.clone())
}

pub fn open(
    dir: &dyn Directory,
    path: &str,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Object> {
    done(dir.open_at(FOLLOW, path, open_flags, flags))
}

pub fn file(dir: &dyn Directory, path: &str, open_flags: OpenFlags) -> Result<Arc<dyn File>> {
    match open(dir, path, open_flags, BOTH)? {
        Object::File(file) => Ok(file),
        Object::Directory(_) => panic!("{path:?} is a directory"),
    }
}

pub fn directory(dir: &dyn Directory, path: &str) -> Result<Arc<dyn Directory>> {
    match open(dir, path, OpenFlags::DIRECTORY, READ)? {
        Object::Directory(dir) => Ok(dir),
        Object::File(_) => panic!("{path:?} is a file"),
    }
}

/// Makes a file with these bytes, or writes them to the beginning of the one there.
pub fn write(dir: &dyn Directory, path: &str, bytes: &[u8]) -> Result<Arc<dyn File>> {
    let file = file(dir, path, CREATE)?;
    write_at(&*file, 0, bytes)?;
    Ok(file)
}

pub fn write_at(file: &dyn File, offset: u64, bytes: &[u8]) -> Result<()> {
    let mut done_bytes = 0;
    while done_bytes < bytes.len() {
        done_bytes += done(file.write_at(offset + done_bytes as u64, &bytes[done_bytes..]))?;
    }
    Ok(())
}

pub fn contents(file: &dyn File) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buf = vec![0; 100_000];
    loop {
        match file.read_at(all.len() as u64, &mut buf) {
            Op::Ready(Ok(0)) => return Ok(all),
            Op::Ready(Ok(n)) => all.extend_from_slice(&buf[..n]),
            Op::Ready(Err(code)) => return Err(code),
            Op::Pending(_) => panic!("a volume leaves nothing for later"),
        }
    }
}

pub fn read(dir: &dyn Directory, path: &str) -> Result<Vec<u8>> {
    match open(dir, path, EXISTING, READ)? {
        Object::File(file) => contents(&*file),
        Object::Directory(_) => panic!("{path:?} is a directory"),
    }
}

pub fn stat(dir: &dyn Directory, path: &str) -> Result<DescriptorStat> {
    done(dir.stat_at(FOLLOW, path))
}

/// The entries, by name.
pub fn list(dir: &dyn Directory) -> Result<Vec<DirectoryEntry>> {
    let mut entries = done(dir.read_directory())?;
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        match entries.poll_next(&mut cx) {
            Poll::Ready(Ok(Some(entry))) => all.push(entry),
            Poll::Ready(Ok(None)) => break,
            Poll::Ready(Err(code)) => return Err(code),
            Poll::Pending => panic!("a volume leaves nothing for later"),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

pub fn names(dir: &dyn Directory) -> Vec<String> {
    let all = list(dir).unwrap().into_iter();
    all.map(|entry| entry.name).collect()
}

/// Bytes of which no two parts are alike.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}
