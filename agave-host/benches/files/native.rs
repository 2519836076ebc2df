use crate::common::Failure;
use crate::components::FILE_SIZE;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::ffi::OsString;
use std::fs::{File, FileType};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the guest does, done by this process: Rust's std where it makes one system call, or
/// that system call.
pub(crate) struct Native {
    path: PathBuf,
    root: OwnedFd,
}

impl Native {
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = path.to_owned();
        Ok(Self { path, root })
    }

    /// The guest's export `function`.
    pub(crate) fn call(&self, function: &str, parameters: &[u64]) -> Result<u64, Failure> {
        match (function, parameters) {
            ("read-stream", &[piece, times]) => {
                let mut file = self.readable()?;
                let mut buf = vec![0; piece as usize];
                repeat(times, || Ok(file.read(&mut buf)? as u64))
            }
            ("write-stream" | "blocking-write", &[piece, times]) => {
                let mut file = self.writable()?;
                let bytes = vec![b'w'; piece as usize];
                repeat(times, || Ok(file.write(&bytes)? as u64))
            }
            ("read", &[piece, times]) => {
                let (file, mut offsets) = (self.readable()?, Offsets::new(piece));
                let mut buf = vec![0; piece as usize];
                repeat(times, || Ok(file.read_at(&mut buf, offsets.next())? as u64))
            }
            ("write", &[piece, times]) => {
                let (file, mut offsets) = (self.writable()?, Offsets::new(piece));
                let bytes = vec![b'w'; piece as usize];
                repeat(times, || Ok(file.write_at(&bytes, offsets.next())? as u64))
            }
            ("stat", &[times]) => {
                let file = self.readable()?;
                repeat(times, || {
                    rustix::fs::fstat(&file)?;
                    Ok(1)
                })
            }
            ("stat-at", &[depth, times]) => {
                let (path, flags) = (file(depth), AtFlags::SYMLINK_NOFOLLOW);
                repeat(times, || {
                    rustix::fs::statat(&self.root, path.as_str(), flags)?;
                    Ok(1)
                })
            }
            ("open-at", &[depth, times]) => {
                let path = file(depth);
                repeat(times, || {
                    drop(open_below(&self.root, &path)?);
                    Ok(1)
                })
            }
            ("read-directory", &[times]) => {
                let path = self.path.join("many");
                repeat(times, || Ok(list(&path)?.len() as u64))
            }
            _ => Err(format!("no such function: {function}").into()),
        }
    }

    fn readable(&self) -> Result<File, Failure> {
        Ok(File::open(self.path.join("data"))?)
    }

    fn writable(&self) -> Result<File, Failure> {
        Ok(File::options().write(true).open(self.path.join("data"))?)
    }
}

fn repeat(times: u64, mut call: impl FnMut() -> Result<u64, Failure>) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..times {
        sum += call()?;
    }
    Ok(sum)
}

/// As a guest must be able to: nothing that is not below `root`.
#[cfg(target_os = "linux")]
fn open_below(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = rustix::fs::ResolveFlags::BENEATH;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

/// Where one system call can't keep it below `root`.
#[cfg(not(target_os = "linux"))]
fn open_below(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(root, path, flags, Mode::empty())
}

/// A file below so many directories.
fn file(depth: u64) -> String {
    "d/".repeat(depth as usize) + "file"
}

fn list(path: &Path) -> Result<Vec<(OsString, FileType)>, Failure> {
    let mut entries = Vec::new();
    for entry in path.read_dir()? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()?));
    }
    Ok(entries)
}

/// Places in the file, in the guest's order.
struct Offsets {
    piece: u64,
    state: u64,
}

impl Offsets {
    fn new(piece: u64) -> Self {
        Self { piece, state: 1 }
    }

    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.state >> 32) % (FILE_SIZE / self.piece) * self.piece
    }
}
