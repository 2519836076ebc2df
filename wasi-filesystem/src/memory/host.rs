//! A [`MemFs`] from outside: to fill it before a guest runs, and to look what one left.

use super::MemFs;
use crate::backend::{Object, Result};
use crate::{DescriptorFlags, Directory, DirectoryEntry, ErrorCode, OpenFlags, PathFlags, vfs};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use wasi_io::Op;

/// Paths are those of [`Directory`], from the topmost directory on; a `/` before them and the
/// empty path for the topmost directory itself are allowed. Symbolic links are followed. The
/// errors are those of [`Directory`] and [`File`](crate::File).
impl MemFs {
    /// Makes the directory `path` and those that it is in, as far as they are not there.
    ///
    /// # Errors
    /// - [`ErrorCode::NotDirectory`]: something else is there.
    pub fn create_dir_all(self: &Arc<Self>, path: &str) -> Result<()> {
        let root = vfs::directory(self.clone());
        let path = relative(path);
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match done(root.create_directory_at(&path[..end])) {
                Err(ErrorCode::Exist) => self.open_dir(&path[..end]).map(drop)?,
                made => made?,
            }
        }
        Ok(())
    }

    /// Makes the file `path`, or replaces its contents.
    ///
    /// # Errors
    /// - [`ErrorCode::InsufficientSpace`]: there is no room for all of `bytes`; the file has
    ///   the beginning.
    pub fn write_file(self: &Arc<Self>, path: &str, bytes: &[u8]) -> Result<()> {
        let open_flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let Object::File(file) = self.open(path, open_flags, DescriptorFlags::WRITE)? else {
            return Err(ErrorCode::IsDirectory);
        };
        let mut written = 0;
        while written < bytes.len() {
            written += done(file.write_at(written as u64, &bytes[written..]))?;
        }
        Ok(())
    }

    /// The contents of the file `path`.
    ///
    /// # Errors
    /// - [`ErrorCode::FileTooLarge`]: it has more bytes than [`Limits::bytes`](super::Limits),
    ///   most of them holes: open it to read it in parts.
    pub fn read_file(self: &Arc<Self>, path: &str) -> Result<Vec<u8>> {
        let Object::File(file) = self.open(path, OpenFlags::empty(), DescriptorFlags::READ)? else {
            return Err(ErrorCode::IsDirectory);
        };
        let size = done(file.stat())?.size;
        let fits = usize::try_from(size.min(self.space.max.bytes)).ok();
        let size = fits.filter(|fits| *fits as u64 == size);
        let mut bytes = vec![0; size.ok_or(ErrorCode::FileTooLarge)?];
        let n = match file.read_at(0, &mut bytes) {
            Op::Ready(n) => n?,
            Op::Pending(_) => return Err(ErrorCode::WouldBlock),
        };
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Makes a symbolic link at `path` with the contents `target`.
    pub fn symlink(self: &Arc<Self>, target: &str, path: &str) -> Result<()> {
        done(vfs::directory(self.clone()).symlink_at(target, relative(path)))
    }

    /// What is in the directory `path`, by name.
    pub fn read_dir(self: &Arc<Self>, path: &str) -> Result<Vec<DirectoryEntry>> {
        let mut entries = done(self.open_dir(path)?.read_directory())?;
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(entry)) = entries.poll_next(&mut cx)? {
            all.push(entry);
        }
        Ok(all)
    }

    fn open_dir(self: &Arc<Self>, path: &str) -> Result<Arc<dyn Directory>> {
        match self.open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)? {
            Object::Directory(dir) => Ok(dir),
            Object::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    fn open(
        self: &Arc<Self>,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Object> {
        let root = vfs::directory(self.clone());
        done(root.open_at(PathFlags::SYMLINK_FOLLOW, relative(path), open_flags, flags))
    }
}

fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        path => path,
    }
}

/// What `op` gave: a `MemFs` leaves nothing for later.
fn done<T>(op: Op<Result<T>>) -> Result<T> {
    match op {
        Op::Ready(result) => result,
        Op::Pending(_) => Err(ErrorCode::WouldBlock),
    }
}
