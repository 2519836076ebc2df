use crate::common::Failure;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::ffi::OsString;
use std::fs::{File, FileType};
use std::hint::black_box;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// What the guest does, done by this process with the system calls that it takes; with none,
/// where it takes none.
pub(crate) struct Native {
    path: PathBuf,
    root: OwnedFd,
    null: File,
}

#[repr(align(4096))]
struct Page([u8; 4096]);

impl Native {
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let root = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            path: path.to_owned(),
            root,
            null: File::options().write(true).open("/dev/null")?,
        })
    }

    /// The guest's export `function`.
    pub(crate) fn call(&self, function: &str, parameters: &[u64]) -> Result<u64, Failure> {
        // As the guest's are aligned: copies take other times elsewhere.
        let Page(bytes) = &mut Page([0; 4096]);
        match (function, parameters) {
            ("nothing" | "fd_tell" | "fd_seek" | "fd_fdstat_get", &[times]) => {
                repeat(times, || Ok(black_box(1)))
            }
            ("clock_time_get", &[0, times]) => repeat(times, || {
                black_box(SystemTime::now());
                Ok(1)
            }),
            ("clock_time_get", &[1, times]) => repeat(times, || {
                black_box(Instant::now());
                Ok(1)
            }),
            ("random_get", &[len, times]) => repeat(times, || {
                let flags = rustix::rand::GetRandomFlags::empty();
                rustix::rand::getrandom(&mut bytes[..len as usize], flags)?;
                Ok(1)
            }),
            ("poll_oneoff", &[times]) => repeat(times, || {
                let now = rustix::event::Timespec::default();
                rustix::event::poll(&mut [], Some(&now))?;
                Ok(1)
            }),
            // No call would be needed; this is the least that one costs.
            ("stdout", &[times]) => repeat(times, || {
                Ok(rustix::io::write(&self.null, &bytes[..1])? as u64)
            }),
            ("fd_read", &[1, times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::io::read(&file, &mut *bytes)? as u64))
            }
            ("fd_write", &[1, times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::io::write(&file, bytes)? as u64))
            }
            ("fd_read", &[buffers, times]) => {
                let (file, piece) = (self.data()?, bytes.len() / buffers as usize);
                repeat(times, || {
                    let pieces = bytes.chunks_mut(piece).map(IoSliceMut::new);
                    let mut pieces: Vec<_> = pieces.collect();
                    Ok(rustix::io::readv(&file, &mut pieces)? as u64)
                })
            }
            ("fd_write", &[buffers, times]) => {
                let (file, piece) = (self.data()?, bytes.len() / buffers as usize);
                let pieces: Vec<_> = bytes.chunks(piece).map(IoSlice::new).collect();
                repeat(times, || Ok(rustix::io::writev(&file, &pieces)? as u64))
            }
            ("fd_pread", &[times]) => {
                let file = self.data()?;
                repeat(times, || {
                    Ok(rustix::io::pread(&file, &mut *bytes, 0)? as u64)
                })
            }
            ("fd_pwrite", &[times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::io::pwrite(&file, bytes, 0)? as u64))
            }
            ("fd_filestat_get", &[times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::fs::fstat(&file)?.st_size as u64))
            }
            ("path_open", &[steps, times]) => repeat(times, || {
                drop(open_beneath(&self.root, path(steps), OFlags::RDONLY)?);
                Ok(1)
            }),
            ("path_filestat_get", &[1, 0, times]) => repeat(times, || {
                let stat = rustix::fs::statat(&self.root, path(1), AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(stat.st_size as u64)
            }),
            ("path_filestat_get", &[steps, _, times]) => repeat(times, || {
                let file = open_beneath(&self.root, path(steps), OFlags::PATH)?;
                Ok(rustix::fs::fstat(&file)?.st_size as u64)
            }),
            ("fd_readdir", &[times]) => {
                let path = self.path.join("many");
                // std leaves out `.` and `..`.
                repeat(times, || Ok(list(&path)?.len() as u64 + 2))
            }
            _ => Err(format!("no such function: {function}").into()),
        }
    }

    fn data(&self) -> Result<File, Failure> {
        Ok(File::options()
            .read(true)
            .write(true)
            .open(self.path.join("data"))?)
    }
}

fn repeat(times: u64, mut call: impl FnMut() -> Result<u64, Failure>) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..times {
        sum += call()?;
    }
    Ok(sum)
}

/// A small file by so many steps.
fn path(steps: u64) -> &'static str {
    match steps {
        1 => "file",
        _ => "d/d/file",
    }
}

/// As a guest must be able to: nothing that is not below `root`.
#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = rustix::fs::ResolveFlags::BENEATH;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Where one system call can't keep it below `root`.
#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(root, path, flags | OFlags::CLOEXEC, Mode::empty())
}

fn list(path: &Path) -> Result<Vec<(OsString, FileType)>, Failure> {
    let mut entries = Vec::new();
    for entry in path.read_dir()? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()?));
    }
    Ok(entries)
}
