use super::calls::{Calls, Mode};
use super::entries::OsEntries;
use super::file::OsFile;
use super::sys;
use crate::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries, ErrorCode,
    NewTimestamp, Object, OpenFlags, PathFlags, Result,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use core::any::Any;
use std::io;
use std::path::Path;
use wasi_io::Op;

/// A directory of this machine.
pub struct OsDirectory {
    dir: Arc<Dir>,
    calls: Calls,
}

impl OsDirectory {
    /// Opens `path` with the rights of this process: a grant of all that is below it. One of
    /// them serves any number of guests.
    ///
    /// # Errors
    /// It is no directory, or this process may not open it.
    pub fn open_ambient(path: impl AsRef<Path>, mode: Mode) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // The handle that cap-std opens for paths has no use but to start from; what else is
        // done with a directory wants an ordinary one, as those below have.
        let dir = sys::reopen(&dir).unwrap_or(dir);
        Ok(Self::new(dir, Calls::new(mode)))
    }

    /// The directory that `dir` is a handle of. Where that is something else, what is done with
    /// it fails with [`ErrorCode::NotDirectory`].
    pub fn from_file(dir: std::fs::File, mode: Mode) -> Self {
        Self::new(Dir::from_std_file(dir), Calls::new(mode))
    }

    fn new(dir: Dir, calls: Calls) -> Self {
        Self {
            dir: Arc::new(dir),
            calls,
        }
    }

    fn object(calls: &Calls, opened: sys::Opened, flags: DescriptorFlags) -> Object {
        let (file, descriptor_type) = opened;
        match descriptor_type {
            DescriptorType::Directory => {
                let directory = Self::new(Dir::from_std_file(file), calls.clone());
                Object::Directory(Arc::new(directory))
            }
            _ => Object::File(Arc::new(OsFile::new(
                file,
                descriptor_type,
                flags,
                calls.clone(),
            ))),
        }
    }

    /// Makes a call on the directory, here or on the pool.
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Dir) -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        match self.calls.offload() {
            None => Op::Ready(call(&self.dir)),
            Some(offload) => {
                let dir = self.dir.clone();
                offload.run(move || call(&dir))
            }
        }
    }

    /// As [`OsDirectory::call`], with a path.
    fn call_at<T: Send + 'static>(
        &self,
        path: &str,
        call: impl FnOnce(&Dir, &str) -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        match self.calls.offload() {
            None => Op::Ready(call(&self.dir, path)),
            Some(offload) => {
                let (dir, path) = (self.dir.clone(), String::from(path));
                offload.run(move || call(&dir, &path))
            }
        }
    }

    /// As [`OsDirectory::call_at`] for a call that only looks: here also where `path` was
    /// looked up lately, or where `cached` finds all that it needs in memory.
    fn look_at<T: Send + 'static>(
        &self,
        path: &str,
        cached: impl FnOnce(&Dir, &str) -> Option<T>,
        call: impl FnOnce(&Dir, &str) -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        let Some(offload) = self.calls.offload() else {
            return Op::Ready(call(&self.dir, path));
        };
        let key = offload.known.key(Arc::as_ptr(&self.dir), path);
        if offload.known.contains(key) {
            return Op::Ready(call(&self.dir, path));
        }
        if let Some(found) = cached(&self.dir, path) {
            offload.known.insert(key);
            return Op::Ready(Ok(found));
        }
        let (dir, path, pool) = (self.dir.clone(), String::from(path), offload.clone());
        offload.run(move || {
            let result = call(&dir, &path);
            pool.known.insert(key);
            result
        })
    }
}

/// The directory of this machine that `directory` is.
fn os(directory: &dyn Directory) -> Result<Arc<Dir>> {
    let directory: &dyn Any = directory;
    match directory.downcast_ref::<OsDirectory>() {
        Some(directory) => Ok(directory.dir.clone()),
        None => Err(ErrorCode::CrossDevice),
    }
}

impl Directory for OsDirectory {
    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        if open_flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
            return Op::failed(ErrorCode::Invalid);
        }
        let calls = self.calls.clone();
        let open = move |dir: &Dir, path: &str| {
            let opened = sys::open_at(dir, path_flags, path, open_flags, flags)?;
            Ok(Self::object(&calls, opened, flags))
        };
        if open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
            return self.call_at(path, open);
        }
        let cached = |dir: &Dir, path: &str| {
            let opened = sys::open_at_cached(dir, path_flags, path, open_flags, flags)?;
            Some(Self::object(&self.calls, opened, flags))
        };
        self.look_at(path, cached, open)
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::Ready(sys::stat_directory(&self.dir))
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.look_at(
            path,
            |dir, path| sys::stat_at_cached(dir, path_flags, path),
            move |dir, path| sys::stat_at(dir, path_flags, path),
        )
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::Ready(match sys::Listing::open(&self.dir) {
            Ok(listing) => Ok(Box::new(OsEntries::new(listing, self.calls.clone()))),
            Err(error) => Err(error),
        })
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        self.call_at(path, sys::readlink_at)
    }

    fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.call_at(path, sys::create_directory_at)
    }

    fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        let target = String::from(old_path);
        self.call_at(new_path, move |dir, path| {
            sys::symlink_at(dir, &target, path)
        })
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &dyn Directory,
        new_path: &str,
    ) -> Op<Result<()>> {
        let new = match os(new) {
            Ok(new) => new,
            Err(error) => return Op::failed(error),
        };
        let new_path = String::from(new_path);
        self.call_at(old_path, move |old, old_path| {
            sys::link_at(old, old_path_flags, old_path, &new, &new_path)
        })
    }

    fn rename_at(&self, old_path: &str, new: &dyn Directory, new_path: &str) -> Op<Result<()>> {
        let new = match os(new) {
            Ok(new) => new,
            Err(error) => return Op::failed(error),
        };
        let new_path = String::from(new_path);
        self.call_at(old_path, move |old, old_path| {
            sys::rename_at(old, old_path, &new, &new_path)
        })
    }

    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        self.call_at(path, sys::unlink_file_at)
    }

    fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.call_at(path, sys::remove_directory_at)
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        self.call(move |dir| sys::set_directory_times(dir, access, modification))
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        self.call_at(path, move |dir, path| {
            sys::set_times_at(dir, path_flags, path, access, modification)
        })
    }

    fn sync(&self) -> Op<Result<()>> {
        self.call(sys::sync_directory)
    }
}
