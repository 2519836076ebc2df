use crate::common::Failure;
use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom};
use std::fs::File;
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
        let mut bytes = [0; 4096];
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
            ("stdout", &[times]) => repeat(times, || Ok(self.write(&self.null, &bytes[..1])?)),
            ("fd_read", &[1, times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::io::read(&file, &mut bytes)? as u64))
            }
            ("fd_write", &[1, times]) => {
                let file = self.data()?;
                repeat(times, || Ok(self.write(&file, &bytes)?))
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
                repeat(times, || Ok(rustix::io::pread(&file, &mut bytes, 0)? as u64))
            }
            ("fd_pwrite", &[times]) => {
                let file = self.data()?;
                repeat(times, || Ok(rustix::io::pwrite(&file, &bytes, 0)? as u64))
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
        Ok(File::options().read(true).write(true).open(self.path.join("data"))?)
    }
}
