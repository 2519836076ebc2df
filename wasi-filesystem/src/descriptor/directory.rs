//! The operations on directories, and on what paths below them lead to.

use super::{Descriptor, Place};
use crate::backend::{Directory, Result};
use crate::stream::DirectoryEntryStream;
use crate::{
    DescriptorFlags, DescriptorStat, ErrorCode, MetadataHashValue, NewTimestamp, Object, OpenFlags,
    PathFlags, path,
};
use alloc::boxed::Box;
use alloc::string::String;
use wasi_io::Op;

impl Descriptor {
    /// `open-at`: opens what is at `path`, or makes it.
    ///
    /// What is neither opened for reading nor writing is opened for reading;
    /// [`OpenFlags::CREATE`] and [`OpenFlags::TRUNCATE`] are for writing too.
    /// [`OpenFlags::EXCLUSIVE`] without [`OpenFlags::CREATE`] says nothing. A file that is
    /// opened has no [`DescriptorFlags::MUTATE_DIRECTORY`], though it be asked for.
    ///
    /// # Errors
    /// - [`ErrorCode::ReadOnly`]: this directory does not have
    ///   [`DescriptorFlags::MUTATE_DIRECTORY`], and asked for is [`DescriptorFlags::WRITE`],
    ///   [`DescriptorFlags::MUTATE_DIRECTORY`], [`OpenFlags::CREATE`] or
    ///   [`OpenFlags::TRUNCATE`]; or the second of these, for a directory that nobody can
    ///   change.
    /// - [`ErrorCode::Invalid`]: both [`OpenFlags::CREATE`] and [`OpenFlags::DIRECTORY`].
    /// - [`ErrorCode::InsufficientMemory`]: the guest has as many descriptors as it may.
    /// - Those of [`Directory::open_at`].
    pub fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        mut open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Self>> {
        let changes = flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        if open_flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
            return Op::failed(ErrorCode::Invalid);
        }
        if !open_flags.contains(OpenFlags::CREATE) {
            open_flags.remove(OpenFlags::EXCLUSIVE);
        }
        let mut granted = flags;
        if !flags.intersects(DescriptorFlags::READ | DescriptorFlags::WRITE) {
            granted |= DescriptorFlags::READ;
        }
        if open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
            granted |= DescriptorFlags::WRITE;
        }
        self.at(path, changes, |dir| {
            let place = match Place::take(&self.0.place.guest) {
                Ok(place) => place,
                Err(code) => return Op::failed(code),
            };
            let base_mutable = self.0.mutable;
            dir.open_at(path_flags, path, open_flags, granted)
                .map(move |object| {
                    let opened = place.open(object?, granted, base_mutable)?;
                    if open_flags.contains(OpenFlags::TRUNCATE) {
                        opened.0.changed();
                    }
                    Ok(opened)
                })
        })
    }

    /// `stat-at`: what is known of the object at `path`.
    ///
    /// # Errors
    /// Those of [`Directory::stat_at`].
    pub fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.at(path, false, |dir| dir.stat_at(path_flags, path))
    }

    /// `metadata-hash-at`: as [`Descriptor::metadata_hash`], of the object at `path`.
    ///
    /// # Errors
    /// Those of [`Directory::stat_at`].
    pub fn metadata_hash_at(
        &self,
        path_flags: PathFlags,
        path: &str,
    ) -> Op<Result<MetadataHashValue>> {
        let secret = self.0.place.guest.secret;
        self.stat_at(path_flags, path)
            .map(move |stat| Ok(MetadataHashValue::new(&secret, &stat?)))
    }

    /// `set-times-at`: sets the times of last access and last modification of the object at
    /// `path`.
    ///
    /// # Errors
    /// Those of [`Directory::set_times_at`].
    pub fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        self.at(path, true, |dir| {
            dir.set_times_at(path_flags, path, access, modification)
        })
    }

    /// `read-directory`: the entries of the directory, from the first.
    ///
    /// # Errors
    /// - [`ErrorCode::InsufficientMemory`]: the guest lists as many directories as it may.
    /// - Those of [`Directory::read_directory`].
    pub fn read_directory(&self) -> Op<Result<DirectoryEntryStream>> {
        let dir = match self.directory() {
            Ok(dir) => dir,
            Err(code) => return Op::failed(code),
        };
        let listing = match DirectoryEntryStream::reserve(&self.0.place.guest) {
            Ok(listing) => listing,
            Err(code) => return Op::failed(code),
        };
        dir.read_directory()
            .map(move |entries| Ok(listing.of(entries?)))
    }

    /// `create-directory-at`: makes a directory.
    ///
    /// # Errors
    /// Those of [`Directory::create_directory_at`].
    pub fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.at(path, true, |dir| dir.create_directory_at(path))
    }

    /// `symlink-at`: makes a symbolic link at `new_path` with the contents `old_path`, which
    /// are checked as a path is: an absolute one is [`ErrorCode::NotPermitted`].
    ///
    /// # Errors
    /// Those of [`Directory::symlink_at`].
    pub fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        self.at(new_path, true, |dir| match path::check(old_path) {
            Ok(_) => dir.symlink_at(old_path, new_path),
            Err(code) => Op::failed(code),
        })
    }

    /// `readlink-at`: what the symbolic link at `path` holds.
    ///
    /// # Errors
    /// - [`ErrorCode::NotPermitted`]: an absolute path.
    /// - Those of [`Directory::readlink_at`].
    pub fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        self.at(path, false, |dir| {
            dir.readlink_at(path).map(|target| match target? {
                target if target.starts_with('/') => Err(ErrorCode::NotPermitted),
                target => Ok(target),
            })
        })
    }

    /// `link-at`: gives the object at `old_path` another name, below `new`.
    ///
    /// # Errors
    /// - [`ErrorCode::NotDirectory`], [`ErrorCode::ReadOnly`]: of either descriptor.
    /// - Those of [`Directory::link_at`].
    pub fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &Self,
        new_path: &str,
    ) -> Op<Result<()>> {
        self.at(old_path, true, |dir| {
            new.at(new_path, true, |new| {
                dir.link_at(old_path_flags, old_path, new, new_path)
            })
        })
    }

    /// `rename-at`: moves the object at `old_path` to `new_path` below `new`.
    ///
    /// # Errors
    /// - [`ErrorCode::NotDirectory`], [`ErrorCode::ReadOnly`]: of either descriptor.
    /// - Those of [`Directory::rename_at`].
    pub fn rename_at(&self, old_path: &str, new: &Self, new_path: &str) -> Op<Result<()>> {
        self.at(old_path, true, |dir| {
            new.at(new_path, true, |new| dir.rename_at(old_path, new, new_path))
        })
    }

    /// `unlink-file-at`: removes a name of something that is no directory.
    ///
    /// # Errors
    /// Those of [`Directory::unlink_file_at`].
    pub fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        self.at(path, true, |dir| dir.unlink_file_at(path))
    }

    /// `remove-directory-at`: removes an empty directory.
    ///
    /// # Errors
    /// - [`ErrorCode::NotPermitted`]: a symbolic link that leads outside, with a `/` at the end
    ///   of `path`. Without it, and where it leads elsewhere, a link is no directory.
    /// - Those of [`Directory::remove_directory_at`].
    pub fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.at(path, true, |dir| match dir.remove_directory_at(path) {
            removed if !path.ends_with('/') => removed,
            Op::Ready(Err(ErrorCode::NotDirectory)) => no_directory(dir, path),
            Op::Ready(removed) => Op::Ready(removed),
            Op::Pending(future) => {
                let (this, path) = (self.clone(), String::from(path));
                Op::Pending(Box::pin(async move {
                    match (future.await, this.directory()) {
                        (Err(ErrorCode::NotDirectory), Ok(dir)) => {
                            let why = no_directory(dir, &path);
                            why.finish().await
                        }
                        (removed, _) => removed,
                    }
                }))
            }
        })
    }

    fn directory(&self) -> Result<&dyn Directory> {
        match &self.0.object {
            Object::Directory(dir) => Ok(&**dir),
            Object::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// Does `operation`, which `changes` something or not, with a `path` that can be one.
    fn at<T>(
        &self,
        path: &str,
        changes: bool,
        operation: impl FnOnce(&dyn Directory) -> Op<Result<T>>,
    ) -> Op<Result<T>> {
        let dir = self.directory().and_then(|dir| {
            path::check(path)?;
            match changes && !self.0.mutable {
                true => Err(ErrorCode::ReadOnly),
                false => Ok(dir),
            }
        });
        match dir {
            Ok(dir) => operation(dir),
            Err(code) => Op::failed(code),
        }
    }
}

/// The error of what is no directory at `path`, which says that it is one.
fn no_directory(dir: &dyn Directory, path: &str) -> Op<Result<()>> {
    dir.stat_at(PathFlags::SYMLINK_FOLLOW, path)
        .map(|stat| match stat {
            Err(code @ ErrorCode::NotPermitted) => Err(code),
            _ => Err(ErrorCode::NotDirectory),
        })
}

impl Place {
    /// The descriptor of `object`, which was opened with `flags` from a directory that can be
    /// changed or not.
    fn open(
        self,
        object: Object,
        mut flags: DescriptorFlags,
        base_mutable: bool,
    ) -> Result<Descriptor> {
        let mutable = match &object {
            Object::File(_) => {
                flags.remove(DescriptorFlags::MUTATE_DIRECTORY);
                base_mutable
            }
            Object::Directory(_) if flags.contains(DescriptorFlags::WRITE) => {
                return Err(ErrorCode::IsDirectory);
            }
            Object::Directory(dir) => {
                flags |= DescriptorFlags::READ;
                let asked = flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
                let read_only = dir.is_read_only();
                if asked && read_only {
                    return Err(ErrorCode::ReadOnly);
                }
                base_mutable && !read_only && (asked || self.guest.inherit_mutate_directory)
            }
        };
        Ok(Descriptor::new(object, flags, mutable, self))
    }
}
